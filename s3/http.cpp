#include "s3/http.h"

#include <strings.h>

#include <algorithm>

namespace spillway::s3 {
namespace {

bool same_name(std::string_view left, std::string_view right) {
  return left.size() == right.size() && ::strncasecmp(left.data(), right.data(), left.size()) == 0;
}

}  // namespace

void Headers::add(std::string name, std::string value) {
  fields_.emplace_back(std::move(name), std::move(value));
}

void Headers::set(std::string_view name, std::string value) {
  remove(name);
  add(std::string(name), std::move(value));
}

void Headers::remove(std::string_view name) {
  std::erase_if(fields_, [name](const Field& field) { return same_name(field.first, name); });
}

const std::string* Headers::find(std::string_view name) const {
  const auto found = std::ranges::find_if(
      fields_, [name](const Field& field) { return same_name(field.first, name); });
  return found == fields_.end() ? nullptr : &found->second;
}

std::string_view Headers::get(std::string_view name) const {
  const auto* const value = find(name);
  return value != nullptr ? std::string_view(*value) : std::string_view();
}

}  // namespace spillway::s3
