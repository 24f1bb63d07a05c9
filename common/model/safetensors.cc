#include "common/model/safetensors.h"

#include <algorithm>
#include <cstring>
#include <set>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

using nlohmann::json;

absl::Status Malformed(std::string_view problem) {
  return absl::DataLossError(absl::StrCat("malformed safetensors: ", AbslView(problem)));
}

struct DtypeInfo {
  TensorDtype dtype;
  int64_t bytes;
};

absl::StatusOr<DtypeInfo> ParseDtype(const std::string& name, std::string_view tensor) {
  if (name == "F32") return DtypeInfo{TensorDtype::kFloat32, 4};
  if (name == "BF16") return DtypeInfo{TensorDtype::kBfloat16, 2};
  if (name == "F16") return DtypeInfo{TensorDtype::kFloat16, 2};
  return absl::UnimplementedError(
      absl::StrCat("tensor ", AbslView(tensor), " has dtype ", name, " (supported: F32, BF16, F16)"));
}

absl::StatusOr<TensorView> ParseTensor(const std::string& name, const json& entry,
                                       std::span<const std::byte> data) {
  if (!entry.is_object()) return Malformed(absl::StrCat("entry ", name, " is not an object"));
  const auto dtype = entry.find("dtype"), shape = entry.find("shape"), offsets = entry.find("data_offsets");
  if (dtype == entry.end() || !dtype->is_string() || shape == entry.end() || !shape->is_array() ||
      offsets == entry.end() || !offsets->is_array() || offsets->size() != 2 ||
      !(*offsets)[0].is_number_unsigned() || !(*offsets)[1].is_number_unsigned())
    return Malformed(absl::StrCat("entry ", name, " lacks dtype, shape or data_offsets"));
  CACHECLIP_ASSIGN_OR_RETURN(const DtypeInfo info, ParseDtype(dtype->get<std::string>(), name));
  TensorView view{info.dtype, {}, {}};
  int64_t num_bytes = info.bytes;
  for (const json& dimension : *shape) {
    if (!dimension.is_number_unsigned()) return Malformed(absl::StrCat("shape of ", name));
    const uint64_t value = dimension.get<uint64_t>();
    if (value > data.size() || (value > 0 && num_bytes > static_cast<int64_t>(data.size() / value)))
      return Malformed(absl::StrCat("tensor ", name, " is larger than the file"));
    view.shape.push_back(static_cast<int64_t>(value));
    num_bytes *= static_cast<int64_t>(value);
  }
  const uint64_t begin = (*offsets)[0].get<uint64_t>(), end = (*offsets)[1].get<uint64_t>();
  if (begin > end || end > data.size())
    return Malformed(absl::StrCat("tensor ", name, " ends beyond the file: is the download complete?"));
  if (end - begin != static_cast<uint64_t>(num_bytes))
    return Malformed(absl::StrCat("length of tensor ", name));
  view.bytes = data.subspan(begin, end - begin);
  return view;
}

// No byte may belong to two tensors: the format says so, and a file that does otherwise was not written by a
// saver.
absl::Status CheckDisjoint(const std::map<std::string, TensorView>& tensors) {
  std::vector<std::pair<std::span<const std::byte>, std::string_view>> ranges;
  for (const auto& [name, view] : tensors)
    if (!view.bytes.empty()) ranges.emplace_back(view.bytes, name);
  std::sort(ranges.begin(), ranges.end(),
            [](const auto& a, const auto& b) { return a.first.data() < b.first.data(); });
  for (size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].first.data() < ranges[i - 1].first.data() + ranges[i - 1].first.size())
      return Malformed(absl::StrCat("tensors ", AbslView(ranges[i - 1].second), " and ",
                                    AbslView(ranges[i].second), " overlap"));
  return absl::OkStatus();
}

absl::StatusOr<std::set<std::string>> ShardNames(const std::string& index_text) {
  const json index = json::parse(index_text, nullptr, /*allow_exceptions=*/false);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || map == index.end() || !map->is_object())
    return Malformed("index has no weight_map");
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) return Malformed("weight_map entry is not a string");
    const std::string name = file.get<std::string>();
    if (name.empty() || absl::StrContains(name, '/') || absl::StrContains(name, ".."))
      return Malformed(absl::StrCat("shard name \"", name, "\" leaves the folder"));
    names.insert(name);
  }
  if (names.empty() || names.size() > Checkpoint::kMaxShards) return Malformed("number of shards");
  return names;
}

}  // namespace

absl::StatusOr<std::map<std::string, TensorView>> ParseSafetensors(std::span<const std::byte> bytes) {
  uint64_t header_bytes = 0;
  if (bytes.size() < sizeof header_bytes) return Malformed("shorter than its length field");
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  if (header_bytes > Checkpoint::kMaxHeaderBytes || header_bytes > bytes.size() - sizeof header_bytes)
    return Malformed("header ends beyond the file: is the download complete?");
  const auto* text = reinterpret_cast<const char*>(bytes.data()) + sizeof header_bytes;
  const json header = json::parse(text, text + header_bytes, nullptr, /*allow_exceptions=*/false);
  if (!header.is_object()) return Malformed("header is not a JSON object");
  const auto data = bytes.subspan(sizeof header_bytes + header_bytes);
  std::map<std::string, TensorView> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    CACHECLIP_ASSIGN_OR_RETURN(tensors[name], ParseTensor(name, entry, data));
  }
  CACHECLIP_RETURN_IF_ERROR(CheckDisjoint(tensors));
  return tensors;
}

absl::StatusOr<Checkpoint> Checkpoint::Open(const std::string& directory) {
  std::set<std::string> names = {"model.safetensors"};
  if (absl::StatusOr<std::string> index = ReadFile(directory + "/model.safetensors.index.json"); index.ok()) {
    CACHECLIP_ASSIGN_OR_RETURN(names, ShardNames(*index));
  }
  Checkpoint checkpoint;
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(directory, "/", name);
    CACHECLIP_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
    auto tensors = ParseSafetensors(file->bytes());
    if (!tensors.ok()) return WithContext(tensors.status(), path);
    checkpoint.tensors_.merge(*tensors);
    if (!tensors->empty())
      return WithContext(Malformed(absl::StrCat("tensor ", tensors->begin()->first, " stands twice")), path);
    checkpoint.files_.push_back(path);
    checkpoint.mappings_.push_back(std::move(file));
  }
  return checkpoint;
}

absl::StatusOr<TensorView> Checkpoint::Find(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) return absl::NotFoundError(absl::StrCat("checkpoint has no tensor ", name));
  return it->second;
}

}  // namespace cacheclip
