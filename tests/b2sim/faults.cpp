#include "tests/b2sim/faults.h"

#include <utility>

#include "tests/b2sim/answers.h"
#include "tests/b2sim/refusal.h"

namespace b2sim {

using nlohmann::json;

namespace {

Refusal cap_refusal(const std::string& cap) {
  if (cap == "storage") {
    return {403, "AccessDenied",
            "Cannot upload files, storage cap exceeded. See the Caps & Alerts page to increase "
            "your cap."};
  }
  if (cap == "transaction") {
    return {403, "AccessDenied",
            "Cannot download file, download bandwidth or transaction (Class B) cap exceeded. See "
            "the Caps & Alerts page to increase your cap."};
  }
  throw invalid_argument("cap is storage or transaction");
}

Answer status_answer(const json& fault) {
  Answer answer =
      error_answer({fault.at("status"), fault.value("code", ""), fault.value("message", "")});
  if (fault.contains("body")) answer.body = fault.at("body");
  const json headers = fault.value("headers", json::object());
  for (const auto& [name, value] : headers.items()) {
    answer.headers.emplace_back(name, value);
  }
  return answer;
}

Answer answer_with_error_inside(const json& error) {
  return error_answer(
      {200, error.value("code", "InternalError"), error.value("message", "An internal error")});
}

CutPlace cut_place(const std::string& word) {
  if (word == "request") return CutPlace::request;
  if (word == "response") return CutPlace::response;
  throw invalid_argument("cut is request or response");
}

void read_stall(const json& fault, Effect& effect) {
  if (!fault.contains("stall_ms")) return;
  effect.stall = std::chrono::milliseconds(fault.at("stall_ms"));
  effect.close_after_stall = fault.value("then", "answer") == "close";
  effect.stall_before_answer = fault.value("at", "request") == "answer";
}

void reject_unknown_words(const json& object, std::initializer_list<const char*> known) {
  for (const auto& [name, value] : object.items()) {
    bool found = false;
    for (const char* word : known) found = found || name == word;
    if (!found) throw invalid_argument("unknown word in a fault: " + name);
  }
}

Effect read_effect(const json& fault) {
  reject_unknown_words(fault, {"status", "code", "message", "headers", "body", "stall_ms", "then",
                               "at", "cut", "after_bytes", "slow_bytes_per_second", "delay_ms",
                               "error_in_200", "lost_answer", "clock_skew_s", "cap"});
  Effect effect;
  effect.delay = std::chrono::milliseconds(fault.value("delay_ms", 0));
  effect.bytes_per_second = fault.value("slow_bytes_per_second", 0U);
  effect.lost_answer = fault.value("lost_answer", false);
  effect.clock_skew = std::chrono::seconds(fault.value("clock_skew_s", 0));
  read_stall(fault, effect);
  if (fault.contains("cut")) {
    effect.cut = cut_place(fault.at("cut"));
    effect.cut_after = fault.value("after_bytes", std::uint64_t{0});
  }
  if (fault.contains("status")) effect.answer = status_answer(fault);
  if (fault.contains("cap")) effect.answer = error_answer(cap_refusal(fault.at("cap")));
  if (fault.contains("error_in_200")) {
    effect.answer = answer_with_error_inside(fault.at("error_in_200"));
  }
  return effect;
}

// Delays add up; of everything else the fault that was set first decides.
void merge(Effect& into, const Effect& from) {
  into.delay += from.delay;
  into.clock_skew += from.clock_skew;
  into.lost_answer = into.lost_answer || from.lost_answer;
  if (into.bytes_per_second == 0) into.bytes_per_second = from.bytes_per_second;
  if (!into.answer) into.answer = from.answer;
  if (!into.stall && from.stall) {
    into.stall = from.stall;
    into.close_after_stall = from.close_after_stall;
    into.stall_before_answer = from.stall_before_answer;
  }
  if (!into.cut && from.cut) {
    into.cut = from.cut;
    into.cut_after = from.cut_after;
  }
}

bool fits(const std::string& pattern, const std::string& value) {
  if (pattern.empty()) return true;
  if (pattern.ends_with('*')) return value.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == value;
}

std::string as_text(const json& match, const char* name) {
  if (!match.contains(name)) return "";
  const json& value = match.at(name);
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

bool Faults::Fault::matches(const CallName& call) const {
  return fits(kind, call.kind) && fits(key, call.key) &&
         (upload_id.empty() || upload_id == call.upload_id) && (part.empty() || part == call.part);
}

bool Faults::Fault::fires() {
  ++seen;
  if (seen < nth || (times >= 0 && hits >= times)) return false;
  if (rate < 1 && std::uniform_real_distribution<double>(0, 1)(random) >= rate) return false;
  ++hits;
  return true;
}

Faults::Fault Faults::parse(const json& description) try {
  reject_unknown_words(description, {"match", "nth", "times", "rate", "seed", "fault"});
  const json match = description.value("match", json::object());
  reject_unknown_words(match, {"kind", "key", "upload_id", "part"});
  Fault fault;
  fault.description = description;
  fault.kind = match.value("kind", "*");
  fault.key = as_text(match, "key");
  fault.upload_id = as_text(match, "upload_id");
  fault.part = as_text(match, "part");
  fault.nth = description.value("nth", 1);
  fault.rate = description.value("rate", 1.0);
  fault.times = description.value("times", 1);
  fault.random.seed(description.value("seed", std::uint64_t{0}));
  fault.effect = read_effect(description.at("fault"));
  return fault;
} catch (const json::exception& error) {
  throw invalid_argument(error.what());
}

int Faults::add(const json& description) {
  Fault fault = parse(description);
  const std::lock_guard lock(mutex_);
  faults_.emplace(next_id_, std::move(fault));
  return next_id_++;
}

bool Faults::remove(int id) {
  const std::lock_guard lock(mutex_);
  return faults_.erase(id) > 0;
}

void Faults::clear() {
  const std::lock_guard lock(mutex_);
  faults_.clear();
}

json Faults::list() const {
  const std::lock_guard lock(mutex_);
  json list = json::array();
  for (const auto& [id, fault] : faults_) {
    json entry = fault.description;
    entry["id"] = id;
    entry["seen"] = fault.seen;
    entry["hits"] = fault.hits;
    list.push_back(std::move(entry));
  }
  return list;
}

Effect Faults::strike(const CallName& call) {
  const std::lock_guard lock(mutex_);
  Effect effect;
  for (auto& [id, fault] : faults_) {
    if (fault.matches(call) && fault.fires()) merge(effect, fault.effect);
  }
  return effect;
}

}  // namespace b2sim
