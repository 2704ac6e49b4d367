#include "tests/b2sim/answers.h"

#include <utility>

namespace b2sim {

namespace {

constexpr std::string_view kDeclaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

}  // namespace

std::string xml_escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&apos;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string element(std::string_view name, std::string_view text) {
  std::string written = "<";
  written.append(name).append(">").append(xml_escape(text));
  return written.append("</").append(name).append(">");
}

std::string document(std::string_view name, std::string_view content) {
  std::string written(kDeclaration);
  written.append("<").append(name);
  written.append(" xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">").append(content);
  return written.append("</").append(name).append(">");
}

std::string in_quotes(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

Answer error_answer(const Refusal& refusal) {
  Answer answer;
  answer.status = refusal.status;
  if (refusal.of_hide_marker) answer.headers.emplace_back("x-amz-delete-marker", "true");
  if (refusal.code.empty()) return answer;
  answer.headers.emplace_back("Content-Type", "application/xml");
  answer.body = std::string(kDeclaration) + "<Error>" + element("Code", refusal.code) +
                element("Message", refusal.message) + "</Error>";
  return answer;
}

Answer xml_answer(std::string body) {
  Answer answer;
  answer.headers.emplace_back("Content-Type", "application/xml");
  answer.body = std::move(body);
  return answer;
}

Answer json_answer(int status, std::string body) {
  Answer answer;
  answer.status = status;
  answer.headers.emplace_back("Content-Type", "application/json");
  answer.body = std::move(body) + "\n";
  return answer;
}

}  // namespace b2sim
