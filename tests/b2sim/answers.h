// Answers in B2's form.
#pragma once

#include <string>
#include <string_view>

#include "tests/b2sim/http.h"
#include "tests/b2sim/refusal.h"

namespace b2sim {

// <Error><Code/><Message/></Error> and no more; no body at all where the code is empty.
[[nodiscard]] Answer error_answer(const Refusal& refusal);
[[nodiscard]] Answer xml_answer(std::string body);
[[nodiscard]] Answer json_answer(int status, std::string body);

[[nodiscard]] std::string xml_escape(std::string_view text);
// <name>text</name>, escaped.
[[nodiscard]] std::string element(std::string_view name, std::string_view text);
// <name xmlns=…>…</name> with the declaration before it.
[[nodiscard]] std::string document(std::string_view name, std::string_view content);
[[nodiscard]] std::string in_quotes(std::string_view text);

}  // namespace b2sim
