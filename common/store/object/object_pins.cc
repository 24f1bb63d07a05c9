#include "common/store/object/object_pins.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/store/chunk_store.h"
#include "common/store/object/object_names.h"

namespace cacheclip {
namespace {

constexpr size_t kMaxPinTextBytes = 64;

}  // namespace

absl::Status ObjectPins::Pin(const ChunkKey& key, std::string_view owner, absl::Time expiry,
                             const CancellationToken& token) {
  const std::string name = PinObjectName(key, owner);
  CACHECLIP_ASSIGN_OR_RETURN(const ObjectPage page, ListPins(key, token));
  if (static_cast<int64_t>(page.objects.size()) >= kMaxPinsPerChunk) {
    int64_t num_others = 0;
    for (const ObjectInfo& pin : page.objects) {
      if (pin.name == name) continue;
      CACHECLIP_ASSIGN_OR_RETURN(const bool holds, HoldsStill(pin.name, token));
      if (holds) ++num_others;
    }
    if (num_others >= kMaxPinsPerChunk)
      return absl::ResourceExhaustedError(
          absl::StrCat("chunk ", key.ToHex(), " is pinned by ", num_others, " owners already"));
  }
  const std::string text = absl::FormatTime(absl::RFC3339_full, expiry, absl::UTCTimeZone());
  return client_.Put(name, std::as_bytes(std::span(text)), PutMode::kReplace, token);
}

absl::Status ObjectPins::Unpin(const ChunkKey& key, std::string_view owner, const CancellationToken& token) {
  return client_.Delete(PinObjectName(key, owner), token);
}

absl::StatusOr<bool> ObjectPins::IsPinned(const ChunkKey& key, const CancellationToken& token) {
  CACHECLIP_ASSIGN_OR_RETURN(const ObjectPage page, ListPins(key, token));
  for (const ObjectInfo& pin : page.objects) {
    CACHECLIP_ASSIGN_OR_RETURN(const bool holds, HoldsStill(pin.name, token));
    if (holds) return true;
  }
  return false;
}

absl::Status ObjectPins::RemoveAll(const ChunkKey& key, const CancellationToken& token) {
  CACHECLIP_ASSIGN_OR_RETURN(const ObjectPage page, ListPins(key, token));
  for (const ObjectInfo& pin : page.objects) CACHECLIP_RETURN_IF_ERROR(client_.Delete(pin.name, token));
  return absl::OkStatus();
}

absl::StatusOr<ObjectPage> ObjectPins::ListPins(const ChunkKey& key, const CancellationToken& token) {
  return client_.List(PinObjectsPrefix(key), "", kMaxObjectsPerPage, token);
}

absl::StatusOr<bool> ObjectPins::HoldsStill(const std::string& name, const CancellationToken& token) {
  std::array<std::byte, kMaxPinTextBytes> text;
  const auto read = client_.Read(name, 0, text, token);
  if (absl::IsNotFound(read.status())) return false;
  if (!read.ok()) return read.status();
  const std::string expiry_text(reinterpret_cast<const char*>(text.data()), read->num_bytes);
  absl::Time expiry;
  if (absl::ParseTime(absl::RFC3339_full, expiry_text, &expiry, nullptr) && clock_.Now() < expiry)
    return true;
  client_.Delete(name, token).IgnoreError();
  return false;
}

}  // namespace cacheclip
