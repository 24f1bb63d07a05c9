// What an S3 (or STS) response that is no success means for the caller, as a status of
// common/store/object/object_client.h: passing failures are UNAVAILABLE, so that they are repeated; wrong
// settings name themselves. Server texts are shortened and cleaned before they enter a message.
// Values only; thread-safe.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/store/object/http_client.h"

namespace cacheclip {

struct S3ErrorContext {
  std::string what;                // "get chunks/ab/….ccv from s3://bucket"
  std::string region;              // that requests were signed for
  std::string credentials_source;  // "the environment", "profile x of /path"
};

// `response.status` is not 2xx, or 200 with an error as its body.
absl::Status S3ErrorStatus(const HttpResponse& response, const S3ErrorContext& context);

}  // namespace cacheclip
