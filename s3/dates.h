// The forms in which S3 writes points in time. Pure; years 1970 to 2261, UTC only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/clock.h"

namespace spillway::s3 {

// "Fri, 24 May 2013 00:00:00 GMT", as in Date, Last-Modified and Retry-After. The name of the day
// is not checked. nullopt for anything else, the two obsolete forms of RFC 9110 included.
[[nodiscard]] std::optional<WallTime> parse_http_date(std::string_view text);

// "2013-05-24T00:00:00.000Z", as in listings; the fraction may be missing or have up to nine
// digits.
[[nodiscard]] std::optional<WallTime> parse_iso_date(std::string_view text);

// "20130524T000000Z", as in x-amz-date. Its first eight characters are the date of the credential
// scope.
[[nodiscard]] std::string to_amz_date(WallTime time);

}  // namespace spillway::s3
