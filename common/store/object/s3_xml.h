// The few XML answers of S3 and STS, read into values. Strict: another root element, a missing or unreadable
// element, or more than a page may hold is an error; entities are never resolved beyond XML's own five, and
// sizes are bounded by the caller's limit on response bodies. The one place that includes pugixml.
// Values only; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace cacheclip {

inline constexpr int64_t kMaxS3XmlBytes = int64_t{4} << 20;  // a page of 1000 keys of 1024 bytes, encoded

struct S3Listing {
  struct Entry {
    std::string key;
    int64_t num_bytes = 0;
    absl::Time modified;
  };
  std::vector<Entry> entries;
  std::string next_token;  // empty: the last page
};

struct S3Error {
  std::string code, message, region;  // region: where the bucket is, if the server says so
};

struct StsCredentials {
  std::string access_key_id, secret_access_key, session_token;
  absl::Time expiry;
};

// UNAVAILABLE when the text is not what it should be: something between us and the server, or a broken
// server.
absl::StatusOr<S3Listing> ParseS3Listing(std::string_view xml);
absl::StatusOr<std::string> ParseS3UploadId(std::string_view xml);
absl::StatusOr<StsCredentials> ParseStsCredentials(std::string_view xml);

// All empty when the text is no S3 or STS error: many servers answer in their own words.
S3Error ParseS3Error(std::string_view xml);

}  // namespace cacheclip
