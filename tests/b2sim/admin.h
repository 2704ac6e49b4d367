// The endpoint below /.b2sim/ by which tests steer the server; README.md has its words.
#pragma once

#include "tests/b2sim/exchange.h"
#include "tests/b2sim/http.h"

namespace b2sim {

class Service;

[[nodiscard]] bool is_admin(const Request& request);
[[nodiscard]] Answer answer_admin(Service& service, Exchange& exchange);

}  // namespace b2sim
