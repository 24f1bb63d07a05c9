// Writes safetensors files as bytes, right or wrong, for the tests of their reader. Functions only.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace cacheclip {

// One file: length, header text, then `data_bytes` bytes counting up.
inline std::vector<std::byte> SafetensorsBytes(std::string_view header, size_t data_bytes) {
  const uint64_t header_bytes = header.size();
  std::vector<std::byte> bytes(sizeof header_bytes + header.size() + data_bytes);
  std::memcpy(bytes.data(), &header_bytes, sizeof header_bytes);
  std::memcpy(bytes.data() + sizeof header_bytes, header.data(), header.size());
  for (size_t i = 0; i < data_bytes; ++i)
    bytes[sizeof header_bytes + header.size() + i] = static_cast<std::byte>(i);
  return bytes;
}

inline nlohmann::json TensorEntry(const std::string& dtype, const std::vector<int64_t>& shape, uint64_t begin,
                                  uint64_t end) {
  return {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {begin, end}}};
}

inline void WriteBytes(const std::string& path, const std::vector<std::byte>& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

inline void WriteText(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

// An index that puts every tensor of `shards` (file name -> tensor names) into its file.
inline std::string ShardIndex(const std::vector<std::pair<std::string, std::string>>& file_of_tensor) {
  nlohmann::json map = nlohmann::json::object();
  for (const auto& [tensor, file] : file_of_tensor) map[tensor] = file;
  return nlohmann::json{{"weight_map", map}}.dump();
}

// Overwrites one tensor of a file with the bytes of another of the same size.
inline void CopyTensor(const std::string& path, const std::string& from, const std::string& to) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  uint64_t header_bytes = 0;
  file.read(reinterpret_cast<char*>(&header_bytes), sizeof header_bytes);
  std::string header(header_bytes, ' ');
  file.read(header.data(), static_cast<std::streamsize>(header_bytes));
  const nlohmann::json entries = nlohmann::json::parse(header);
  const uint64_t begin = entries[from]["data_offsets"][0], end = entries[from]["data_offsets"][1];
  std::string bytes(end - begin, ' ');
  const auto at = [&](uint64_t offset) {
    return static_cast<std::streamoff>(sizeof header_bytes + header_bytes + offset);
  };
  file.seekg(at(begin));
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.seekp(at(entries[to]["data_offsets"][0].get<uint64_t>()));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// Changes keys of a folder's config.json; null removes one.
inline void EditConfig(const std::string& folder, const nlohmann::json& changes) {
  std::ifstream in(folder + "/config.json");
  nlohmann::json config = nlohmann::json::parse(in);
  config.merge_patch(changes);
  WriteText(folder + "/config.json", config.dump());
}

}  // namespace cacheclip
