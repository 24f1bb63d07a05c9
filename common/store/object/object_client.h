// Named, immutable byte strings in a shared place: what the object tier needs of an S3 bucket or a shared
// folder, and no more. Names are relative to the place's prefix, "/"-separated, of the characters
// [A-Za-z0-9._/-], 1…kMaxObjectNameBytes long, without "." and ".." parts. An object is visible whole or not
// at all, also when its writer is killed.
//
// Every call takes a token: its deadline bounds the call with all its retries, its cancellation ends it
// within about a second. Without a deadline the implementation's own limits hold. Thread-safe.
//
// Errors, beside those named below: DEADLINE_EXCEEDED, CANCELLED; UNAVAILABLE (unreachable, overloaded, cut
// off; retried before it is returned); UNAUTHENTICATED and PERMISSION_DENIED (credentials); with the setting
// that is wrong as field: FAILED_PRECONDITION (no such bucket, other region); INVALID_ARGUMENT (name).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"

namespace cacheclip {

inline constexpr int64_t kMaxObjectNameBytes = 512;
inline constexpr int kMaxObjectsPerPage = 1000;

struct ObjectInfo {
  std::string name;
  int64_t num_bytes = 0;
  absl::Time modified;  // when it was put, or last marked as used
};

struct ObjectPage {
  std::vector<ObjectInfo> objects;
  std::string next_page;  // empty: this was the last one
};

struct ObjectRead {
  int64_t num_bytes = 0;     // now in `out`; fewer than asked only at the end of the object
  int64_t object_bytes = 0;  // size of the whole object
};

enum class PutMode {
  kReplace,
  kIfAbsent,  // ALREADY_EXISTS when the name is taken; UNIMPLEMENTED when the place cannot tell
};

class ObjectClient {
 public:
  virtual ~ObjectClient() = default;

  // RESOURCE_EXHAUSTED: the place is full. A failed put leaves nothing visible, unless it failed with
  // UNAVAILABLE, DEADLINE_EXCEEDED or CANCELLED just as the place had taken the whole object.
  virtual absl::Status Put(std::string_view name, std::span<const std::byte> bytes, PutMode mode,
                           const CancellationToken& token) = 0;

  // Fills `out` with the bytes from `offset` on. NOT_FOUND. Reading behind the end gives 0 bytes.
  virtual absl::StatusOr<ObjectRead> Read(std::string_view name, int64_t offset, std::span<std::byte> out,
                                          const CancellationToken& token) = 0;

  virtual absl::StatusOr<ObjectInfo> Head(std::string_view name, const CancellationToken& token) = 0;

  // OK also when there is no such object.
  virtual absl::Status Delete(std::string_view name, const CancellationToken& token) = 0;

  // Objects whose names begin with `prefix`, which is empty or ends in "/", up to `max_objects` of them
  // (1…kMaxObjectsPerPage). `page` is empty or the next_page of the page before.
  virtual absl::StatusOr<ObjectPage> List(std::string_view prefix, const std::string& page, int max_objects,
                                          const CancellationToken& token) = 0;

  // Stamps the object as used now, where the place can; a hint.
  virtual void MarkUsed(std::string_view /*name*/, const CancellationToken& /*token*/) {}

  // For messages: "s3://bucket/prefix" or "file:///folder". Holds no secret.
  virtual const std::string& url() const = 0;
};

// INVALID_ARGUMENT unless `name` keeps the rules above.
absl::Status ValidateObjectName(std::string_view name);

}  // namespace cacheclip
