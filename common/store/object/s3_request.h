// Builds requests as S3 signs them: the address of a bucket in path or virtual-host style, keys and query
// parameters percent-encoded (everything but unreserved characters, upper-case digits), parameters sorted and
// each with "=", and the SHA-256 of the body in x-amz-content-sha256. Values only; thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/store/object/http_client.h"

namespace cacheclip {

// Where requests for one bucket go.
struct S3Address {
  std::string base;  // "https://bucket.s3.region.amazonaws.com" or "http://host:port/bucket": no slash at end
};

struct S3AddressOptions {
  std::string bucket;
  std::string region;
  std::string endpoint;     // "http[s]://host[:port]"; empty: Amazon's for the region
  bool path_style = false;  // "endpoint/bucket/key" instead of "bucket.endpoint/key"
};

// INVALID_ARGUMENT naming s3_endpoint or s3_region.
absl::StatusOr<S3Address> MakeS3Address(const S3AddressOptions& options);

using S3Query = std::map<std::string, std::string>;

// `key` is empty for requests to the bucket itself.
std::string S3Url(const S3Address& address, std::string_view key, const S3Query& query);

// Everything but A-Z a-z 0-9 - . _ ~ as %XX; "/" stays if `keep_slashes`.
std::string PercentEncode(std::string_view text, bool keep_slashes);
// INVALID_ARGUMENT for broken escapes.
absl::StatusOr<std::string> PercentDecode(std::string_view text);

// A request with its body's digest among the headers. `body` must outlive it.
HttpRequest MakeS3Request(std::string method, std::string url, std::span<const std::byte> body);

}  // namespace cacheclip
