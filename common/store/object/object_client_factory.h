// From the object tier's settings to its client: the folder or the S3 implementation, by the form of
// object_url. Touches the folder, but no network. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/store/object/object_client.h"

namespace cacheclip {

struct ObjectClientSettings {
  std::string object_url;      // "file:///shared/folder" or "s3://bucket/prefix"
  std::string s3_endpoint;     // empty: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else Amazon's of the region
  std::string s3_region;       // empty: AWS_REGION, AWS_DEFAULT_REGION, else us-east-1
  bool s3_path_style = false;  // true for most servers that are not Amazon's
  std::string s3_tls_ca;       // PEM file; empty: the system's certificates
  std::string s3_credentials_file;  // see credentials.h
  std::string s3_profile;           // see credentials.h
  int max_connections = 16;         // requests at once
  Clock* clock = RealClock();       // outlives the client
};

// Errors name the setting.
absl::StatusOr<std::unique_ptr<ObjectClient>> MakeObjectClient(const ObjectClientSettings& settings);

}  // namespace cacheclip
