#include "tests/b2sim/records.h"

#include <fstream>
#include <stdexcept>

namespace b2sim {

using nlohmann::json;

namespace {

json pieces_to_json(const std::vector<Piece>& pieces) {
  json list = json::array();
  for (const Piece& piece : pieces) {
    list.push_back({piece.blob->number(), piece.offset, piece.size});
  }
  return list;
}

std::vector<Piece> pieces_from(const json& list, BlobStore& blobs) {
  std::vector<Piece> pieces;
  for (const json& entry : list) {
    pieces.push_back({blobs.open(entry.at(0)), entry.at(1), entry.at(2)});
  }
  return pieces;
}

}  // namespace

json to_json(const Version& version) {
  return {{"key", version.key},
          {"id", version.id},
          {"sequence", version.sequence},
          {"hide_marker", version.hide_marker},
          {"size", version.size},
          {"etag", version.etag},
          {"modified", version.modified_ms},
          {"headers", version.headers},
          {"metadata", version.metadata},
          {"pieces", pieces_to_json(version.pieces)},
          {"upload", version.upload_id}};
}

json to_json(const Part& part) {
  return {{"number", part.number},
          {"etag", part.etag},
          {"size", part.size},
          {"modified", part.modified_ms},
          {"pieces", pieces_to_json(part.pieces)}};
}

json to_json(const Upload& upload) {
  return {{"key", upload.key},         {"id", upload.id},
          {"number", upload.number},   {"initiated", upload.initiated_ms},
          {"headers", upload.headers}, {"metadata", upload.metadata}};
}

Version version_from(const json& record, BlobStore& blobs) {
  Version version;
  record.at("key").get_to(version.key);
  record.at("id").get_to(version.id);
  record.at("sequence").get_to(version.sequence);
  record.at("hide_marker").get_to(version.hide_marker);
  record.at("size").get_to(version.size);
  record.at("etag").get_to(version.etag);
  record.at("modified").get_to(version.modified_ms);
  record.at("headers").get_to(version.headers);
  record.at("metadata").get_to(version.metadata);
  record.at("upload").get_to(version.upload_id);
  version.pieces = pieces_from(record.at("pieces"), blobs);
  return version;
}

Part part_from(const json& record, BlobStore& blobs) {
  Part part;
  record.at("number").get_to(part.number);
  record.at("etag").get_to(part.etag);
  record.at("size").get_to(part.size);
  record.at("modified").get_to(part.modified_ms);
  part.pieces = pieces_from(record.at("pieces"), blobs);
  return part;
}

Upload upload_from(const json& record) {
  Upload upload;
  record.at("key").get_to(upload.key);
  record.at("id").get_to(upload.id);
  record.at("number").get_to(upload.number);
  record.at("initiated").get_to(upload.initiated_ms);
  record.at("headers").get_to(upload.headers);
  record.at("metadata").get_to(upload.metadata);
  return upload;
}

void write_record(const std::filesystem::path& path, const json& record) {
  const std::filesystem::path side = path.string() + ".new";
  std::ofstream file(side, std::ios::binary);
  file << record.dump();
  file.close();
  if (!file) throw std::runtime_error("can't write " + side.string());
  std::filesystem::rename(side, path);
}

json read_record(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return json::parse(file);
}

}  // namespace b2sim
