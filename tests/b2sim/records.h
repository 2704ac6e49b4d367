// Versions, uploads and parts as JSON files.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/b2sim/bucket.h"

namespace b2sim {

[[nodiscard]] nlohmann::json to_json(const Version& version);
[[nodiscard]] nlohmann::json to_json(const Part& part);
[[nodiscard]] nlohmann::json to_json(const Upload& upload);  // without its parts

[[nodiscard]] Version version_from(const nlohmann::json& record, BlobStore& blobs);
[[nodiscard]] Part part_from(const nlohmann::json& record, BlobStore& blobs);
[[nodiscard]] Upload upload_from(const nlohmann::json& record);

// Readers see the old content or the new one, never half of it.
void write_record(const std::filesystem::path& path, const nlohmann::json& record);
[[nodiscard]] nlohmann::json read_record(const std::filesystem::path& path);

}  // namespace b2sim
