#include "src/service.h"

#include <algorithm>
#include <utility>

#include "src/report.h"

namespace spillway {

std::string_view to_string(ServiceState state) {
  switch (state) {
    case ServiceState::ok: return "ok";
    case ServiceState::degraded: return "degraded";
    case ServiceState::local_only: return "local_only";
  }
  std::unreachable();
}

Service::Service(Executor& executor, Log& log, Requests& requests, const ServiceAtStart& start,
                 Duration cooldown, int uploads_at_once)
    : executor_(executor),
      log_(log),
      requests_(requests),
      start_(start),
      state_(executor, cooldown, std::max(uploads_at_once, 1)) {
  if (start.state != ServiceState::degraded || !start.reason) return;
  auto state = state_.lock();
  state->breaker.open(executor.clock().now(), *start.reason);
}

Service::Admission Service::admit() {
  if (start_.state == ServiceState::local_only) return {start_.reason.value_or(Error{}), false};
  auto state = state_.lock();
  const Breaker::Answer answer = state->breaker.ask(executor_.clock().now());
  if (answer.gate == Breaker::Gate::refuse) return {answer.reason.value_or(Error{}), false};
  return {std::nullopt, answer.gate == Breaker::Gate::probe};
}

void Service::upload_ended(const Admission& admission, const std::optional<Error>& failure) {
  if (admission.refused) return;
  bool recovered = false;
  bool degraded = false;
  {
    auto state = state_.lock();
    if (failure) {
      degraded = state->breaker.failed(executor_.clock().now(), *failure);
    } else {
      recovered = state->breaker.succeeded();
    }
  }
  if (!failure) requests_.service_is_back();
  if (recovered) log_.event(Level::info, "b2_recovered");
  if (!degraded) return;
  log_.event(Level::warning, "b2_degraded", to_failure_json(*failure));
}

void Service::upload_abandoned(const Admission& admission) {
  if (admission.is_probe) state_.lock()->breaker.probe_abandoned();
}

Service::Readiness Service::readiness() {
  if (start_.state == ServiceState::local_only) return Readiness::closed;
  auto state = state_.lock();
  if (!state->breaker.is_open()) return Readiness::open;
  const bool is_due = state->breaker.next_probe() <= executor_.clock().now();
  return is_due ? Readiness::probe : Readiness::closed;
}

std::optional<Error> Service::outage() {
  if (start_.state == ServiceState::local_only) return start_.reason;
  auto state = state_.lock();
  return state->breaker.reason();
}

void Service::probe_now() {
  auto state = state_.lock();
  state->breaker.end_cooldown(executor_.clock().now());
  requests_.service_is_back();
}

Service::Slot Service::take_slot() {
  auto state = state_.lock();
  state.wait([&] {
    grow_slots(*state);
    return state->slots_taken < state->slots;
  });
  ++state->slots_taken;
  return Slot(*this);
}

Service::Slot::~Slot() {
  if (service_ != nullptr) service_->give_back_slot();
}

void Service::give_back_slot() {
  auto state = state_.lock();
  --state->slots_taken;
  state.notify_all();
}

void Service::slow_down() {
  auto state = state_.lock();
  const Instant now = executor_.clock().now();
  // One answer of many that were under way together counts once.
  if (state->slots < state->most_slots && now - state->last_change < std::chrono::seconds(1)) return;
  state->slots = std::max(1, state->slots / 2);
  state->last_change = now;
}

void Service::grow_slots(State& state) {
  const Instant now = executor_.clock().now();
  while (state.slots < state.most_slots && now - state.last_change >= std::chrono::seconds(1)) {
    ++state.slots;
    state.last_change += std::chrono::seconds(1);
  }
}

ServiceState Service::state() {
  if (start_.state == ServiceState::local_only) return ServiceState::local_only;
  auto state = state_.lock();
  const bool open = state->breaker.is_open();
  return open ? ServiceState::degraded : ServiceState::ok;
}

std::optional<Error> Service::last_error() {
  auto state = state_.lock();
  return state->last_error;
}

void Service::set_last_error(const Error& error) {
  auto state = state_.lock();
  state->last_error = error;
}

}  // namespace spillway
