#include "common/store/object/object_client_factory.h"

#include <initializer_list>
#include <utility>

#include "common/base/status.h"
#include "common/store/object/folder_object_client.h"
#include "common/store/object/object_location.h"
#include "common/store/object/s3_object_client.h"

namespace cacheclip {
namespace {

// The setting, else the first variable that is set, else `fallback`.
std::string Choose(const std::string& setting, std::initializer_list<const char*> variables,
                   const char* fallback) {
  if (!setting.empty()) return setting;
  const Environment environment = ProcessEnvironment();
  for (const char* variable : variables)
    if (const auto value = environment(variable); value && !value->empty()) return *value;
  return fallback;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ObjectClient>> MakeObjectClient(const ObjectClientSettings& settings) {
  CACHECLIP_ASSIGN_OR_RETURN(const ObjectLocation location, ParseObjectUrl(settings.object_url));
  if (location.kind == ObjectLocation::Kind::kFolder)
    return FolderObjectClient::Open({.folder = location.folder, .clock = settings.clock});
  S3ObjectClientOptions options;
  options.bucket = location.bucket;
  options.prefix = location.prefix;
  options.region = Choose(settings.s3_region, {"AWS_REGION", "AWS_DEFAULT_REGION"}, "us-east-1");
  options.endpoint = Choose(settings.s3_endpoint, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}, "");
  options.path_style = settings.s3_path_style;
  options.credentials_file = settings.s3_credentials_file;
  options.profile = settings.s3_profile;
  options.http.tls_ca = settings.s3_tls_ca;
  options.http.max_connections = settings.max_connections;
  options.http.clock = options.retry.clock = settings.clock;
  return S3ObjectClient::Create(std::move(options));
}

}  // namespace cacheclip
