#include "s3/xml.h"

#include <tinyxml2.h>

#include <algorithm>
#include <charconv>

#include "s3/dates.h"
#include "s3/uri.h"

namespace spillway::s3 {
namespace {

using Element = tinyxml2::XMLElement;
using Document = tinyxml2::XMLDocument;

std::unexpected<Error> invalid(std::string_view what) {
  return fail(ErrorCode::server_error, "invalid answer: " + std::string(what));
}

bool is_deeper_than(const Element& element, int levels) {
  if (levels == 0) return true;
  for (const auto* child = element.FirstChildElement(); child != nullptr;
       child = child->NextSiblingElement()) {
    if (is_deeper_than(*child, levels - 1)) return true;
  }
  return false;
}

// Comments and CDATA are harmless; "<!DOCTYPE", "<!ENTITY" and their like are what attacks are made
// of, and no S3 server sends them.
bool has_declaration(std::string_view body) {
  for (auto at = body.find("<!"); at != body.npos; at = body.find("<!", at + 2)) {
    const auto rest = body.substr(at + 2);
    if (!rest.starts_with("--") && !rest.starts_with("[CDATA[")) return true;
  }
  return false;
}

// What the parser itself must not be asked to look at.
Result<> check_raw(std::string_view body, std::size_t limit) {
  if (body.size() > limit) return invalid("the body is too long");
  if (has_declaration(body)) return invalid("a DOCTYPE or another declaration");
  if (body.contains('\0')) return invalid("a NUL in the body");
  if (static_cast<std::size_t>(std::ranges::count(body, '<')) > kMostTags) {
    return invalid("too many tags");
  }
  return {};
}

// CompleteMultipartUpload keeps its connection alive with white space before the declaration.
std::string_view without_leading_space(std::string_view body) {
  const auto start = body.find_first_not_of(" \t\r\n");
  return start == body.npos ? std::string_view() : body.substr(start);
}

Result<const Element*> parse(Document& document, std::string_view body, std::size_t limit) {
  TRY(check_raw(body, limit));
  body = without_leading_space(body);
  if (document.Parse(body.data(), body.size()) != tinyxml2::XML_SUCCESS) {
    return invalid(body.empty() ? "the body is empty" : "the body is not XML");
  }
  const Element* const root = document.RootElement();
  if (root == nullptr) return invalid("the body is not XML");
  if (is_deeper_than(*root, kDeepest)) return invalid("too many levels");
  return root;
}

Result<const Element*> parse_result(Document& document, std::string_view name,
                                    std::string_view body, std::size_t limit) {
  const Element* const root = TRY(parse(document, body, limit));
  if (root->Name() != name) return invalid("no " + std::string(name));
  return root;
}

std::string text_of(const Element& parent, const char* name) {
  const Element* const child = parent.FirstChildElement(name);
  const char* const text = child != nullptr ? child->GetText() : nullptr;
  return text != nullptr ? text : "";
}

Result<std::string> required_text(const Element& parent, const char* name) {
  std::string text = text_of(parent, name);
  if (text.empty()) return invalid(std::string("no ") + name);
  return text;
}

template <class Number>
Result<Number> number_of(const Element& parent, const char* name) {
  const std::string text = text_of(parent, name);
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, number);
  if (text.empty() || problem != std::errc{} || stop != end) {
    return invalid(std::string(name) + " is not a number");
  }
  return number;
}

Result<WallTime> date_of(const Element& parent, const char* name) {
  const auto date = parse_iso_date(text_of(parent, name));
  if (!date) return invalid(std::string(name) + " is not a date");
  return *date;
}

Result<std::string> decoded(std::string text, const Element& root) {
  // A server that ignored encoding-type sends the key as it is.
  if (text_of(root, "EncodingType") != "url") return text;
  auto bytes = percent_decode(text, Plus::space);
  if (!bytes) return invalid("a key is encoded wrongly");
  return *std::move(bytes);
}

Result<std::string> decoded_text(const Element& parent, const char* name, const Element& root) {
  std::string text = TRY(required_text(parent, name));
  return decoded(std::move(text), root);
}

// False where it is missing.
Result<bool> flag_of(const Element& parent, const char* name) {
  const std::string text = text_of(parent, name);
  if (text == "true") return true;
  if (text == "false" || text.empty()) return false;
  return invalid(std::string(name) + " is neither true nor false");
}

Result<bool> truncated_of(const Element& root) { return flag_of(root, "IsTruncated"); }

Result<ObjectInfo> object_of(const Element& element, const Element& root) {
  ObjectInfo object;
  object.key = TRY(decoded_text(element, "Key", root));
  object.size = TRY(number_of<std::uint64_t>(element, "Size"));
  object.etag = unquoted(text_of(element, "ETag"));
  object.last_modified = TRY(date_of(element, "LastModified"));
  return object;
}

Result<UploadedPart> part_of(const Element& element, const Element&) {
  UploadedPart part;
  part.number = TRY(number_of<PartNumber>(element, "PartNumber"));
  const std::string etag = TRY(required_text(element, "ETag"));
  part.etag = unquoted(etag);
  part.size = TRY(number_of<std::uint64_t>(element, "Size"));
  if (part.number < 1 || part.number > kMostParts) return invalid("a part number out of range");
  return part;
}

Result<std::string> id_of(const Element& element, const char* name) {
  auto id = TRY(required_text(element, name));
  const auto is_control = [](char character) {
    return static_cast<unsigned char>(character) < 0x20 || character == 0x7f;
  };
  if (std::ranges::any_of(id, is_control)) {
    return invalid(std::string(name) + " has control characters");
  }
  return id;
}

Result<UploadId> upload_id_of(const Element& element) { return id_of(element, "UploadId"); }

Result<std::string> prefix_of(const Element& element, const Element& root) {
  return decoded_text(element, "Prefix", root);
}

Result<UnfinishedUploadInfo> upload_of(const Element& element, const Element& root) {
  UnfinishedUploadInfo upload;
  upload.key = TRY(decoded_text(element, "Key", root));
  upload.id = TRY(upload_id_of(element));
  upload.initiated = TRY(date_of(element, "Initiated"));
  return upload;
}

Result<ListedVersion> version_of(const Element& element, const Element& root) {
  ListedVersion listed;
  listed.key = TRY(decoded_text(element, "Key", root));
  listed.version.version_id = TRY(id_of(element, "VersionId"));
  listed.version.is_hide_marker = element.Name() == std::string_view("DeleteMarker");
  listed.is_latest = TRY(flag_of(element, "IsLatest"));
  listed.last_modified = TRY(date_of(element, "LastModified"));
  return listed;
}

// Nothing where the rule aborts no uploads, or is not in force.
Result<std::optional<int>> abort_days_of(const Element& rule, const Element&) {
  const Element* const abort = rule.FirstChildElement("AbortIncompleteMultipartUpload");
  if (abort == nullptr || text_of(rule, "Status") != "Enabled") return std::nullopt;
  const int days = TRY(number_of<int>(*abort, "DaysAfterInitiation"));
  if (days < 1) return invalid("DaysAfterInitiation is less than a day");
  return days;
}

// Every child of that name, up to the first error.
template <class Value>
Result<std::vector<Value>> all_of(const Element& root, const char* name,
                                  Result<Value> (*value_of)(const Element&, const Element&)) {
  std::vector<Value> values;
  for (const auto* child = root.FirstChildElement(name); child != nullptr;
       child = child->NextSiblingElement(name)) {
    values.push_back(TRY(value_of(*child, root)));
  }
  return values;
}

}  // namespace

std::optional<ErrorBody> parse_error(std::string_view body) {
  Document document;
  const auto root = parse_result(document, "Error", body, kSmallBodyLimit);
  if (!root) return std::nullopt;
  return ErrorBody{text_of(**root, "Code"), text_of(**root, "Message"),
                   text_of(**root, "RequestId")};
}

Result<ListPage> parse_list(std::string_view body) {
  Document document;
  const Element* const root = TRY(parse_result(document, "ListBucketResult", body, kListBodyLimit));
  ListPage page;
  page.truncated = TRY(truncated_of(*root));
  if (page.truncated) page.listing.next_token = text_of(*root, "NextContinuationToken");
  page.listing.objects = TRY(all_of(*root, "Contents", object_of));
  page.listing.prefixes = TRY(all_of(*root, "CommonPrefixes", prefix_of));
  return page;
}

Result<PartsPage> parse_parts(std::string_view body) {
  Document document;
  const Element* const root = TRY(parse_result(document, "ListPartsResult", body, kListBodyLimit));
  PartsPage page;
  page.truncated = TRY(truncated_of(*root));
  if (page.truncated) page.next_marker = TRY(number_of<PartNumber>(*root, "NextPartNumberMarker"));
  page.parts = TRY(all_of(*root, "Part", part_of));
  return page;
}

Result<UploadsPage> parse_uploads(std::string_view body) {
  Document document;
  const Element* const root =
      TRY(parse_result(document, "ListMultipartUploadsResult", body, kListBodyLimit));
  UploadsPage page;
  page.truncated = TRY(truncated_of(*root));
  if (page.truncated) {
    page.next_key_marker = TRY(decoded_text(*root, "NextKeyMarker", *root));
    page.next_upload_id_marker = text_of(*root, "NextUploadIdMarker");
  }
  page.uploads = TRY(all_of(*root, "Upload", upload_of));
  return page;
}

Result<VersionsPage> parse_versions(std::string_view body) {
  Document document;
  const Element* const root =
      TRY(parse_result(document, "ListVersionsResult", body, kListBodyLimit));
  VersionsPage page;
  page.truncated = TRY(truncated_of(*root));
  if (page.truncated) {
    page.next_key_marker = TRY(decoded_text(*root, "NextKeyMarker", *root));
    page.next_version_id_marker = text_of(*root, "NextVersionIdMarker");
  }
  for (const auto* child = root->FirstChildElement(); child != nullptr;
       child = child->NextSiblingElement()) {
    const std::string_view name = child->Name();
    if (name != "Version" && name != "DeleteMarker") continue;
    page.versions.push_back(TRY(version_of(*child, *root)));
  }
  return page;
}

Result<std::optional<int>> parse_abort_rule(std::string_view body) {
  Document document;
  const Element* const root =
      TRY(parse_result(document, "LifecycleConfiguration", body, kListBodyLimit));
  std::optional<int> fewest;
  for (const auto& days : TRY(all_of(*root, "Rule", abort_days_of))) {
    if (days) fewest = std::min(*days, fewest.value_or(*days));
  }
  return fewest;
}

Result<UploadId> parse_created_upload(std::string_view body) {
  Document document;
  const Element* const root =
      TRY(parse_result(document, "InitiateMultipartUploadResult", body, kSmallBodyLimit));
  return upload_id_of(*root);
}

Result<Etag> parse_etag_of(std::string_view root, std::string_view body) {
  Document document;
  const Element* const element = TRY(parse_result(document, root, body, kSmallBodyLimit));
  const std::string etag = TRY(required_text(*element, "ETag"));
  return unquoted(etag);
}

std::string write_complete(const std::vector<UploadedPart>& parts) {
  tinyxml2::XMLPrinter printer;
  printer.OpenElement("CompleteMultipartUpload", true);
  printer.PushAttribute("xmlns", "http://s3.amazonaws.com/doc/2006-03-01/");
  for (const UploadedPart& part : parts) {
    printer.OpenElement("Part", true);
    printer.OpenElement("PartNumber", true);
    printer.PushText(part.number);
    printer.CloseElement(true);
    printer.OpenElement("ETag", true);
    printer.PushText(('"' + part.etag + '"').c_str());
    printer.CloseElement(true);
    printer.CloseElement(true);
  }
  printer.CloseElement(true);
  return printer.CStr();
}

Etag unquoted(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  return Etag(etag);
}

}  // namespace spillway::s3
