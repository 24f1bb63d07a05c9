// Who the object tier is to S3: an access key, from where every S3 client takes it. In this order:
//   1. the settings s3_credentials_file and s3_profile, if one of them is set;
//   2. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN);
//   3. web identity: AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE (and AWS_ROLE_SESSION_NAME), exchanged for
//      a key at AWS_ENDPOINT_URL_STS or Amazon's STS of the region, renewed before it expires (which
//      authority vouches for it: StsAuthority() in web_identity.h);
//   4. AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials, profile AWS_PROFILE or "default".
// Files are read again when a minute has passed, so that a rotated secret is picked up without a restart.
// Secrets are in no message and no log line. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/clock.h"
#include "common/store/object/http_client.h"
#include "common/store/object/retry.h"

namespace cacheclip {

inline constexpr absl::Duration kCredentialsRenewBefore = absl::Minutes(5);
inline constexpr absl::Duration kCredentialsFileLifetime = absl::Minutes(1);
inline constexpr int64_t kMaxCredentialsFileBytes = int64_t{1} << 20;

struct Credentials {
  std::string access_key_id, secret_access_key, session_token;
  absl::Time expiry = absl::InfiniteFuture();
  std::string source;  // for messages: "the environment", "profile x of /path", "web identity"
};

class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  // FAILED_PRECONDITION naming s3_credentials or s3_credentials_file: there are none, or the file is not one;
  // UNAUTHENTICATED: the web identity was refused; UNAVAILABLE: its server is.
  virtual absl::StatusOr<Credentials> Get(const CancellationToken& token) = 0;
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment ProcessEnvironment();

struct CredentialsOptions {
  std::string credentials_file;  // setting; empty: see above
  std::string profile;           // setting; empty: see above
  std::string region;            // of STS
  Environment environment = ProcessEnvironment();
  HttpClient* http = nullptr;  // for web identity; outlives the provider
  RetryOptions retry;
  Clock* clock = RealClock();
};

// Decides the source now; reads it at the first Get().
absl::StatusOr<std::unique_ptr<CredentialsProvider>> MakeCredentialsProvider(CredentialsOptions options);

// The INI text of a credentials file. NOT_FOUND: no such profile, or without both keys.
absl::StatusOr<Credentials> ParseCredentialsFile(const std::string& text, const std::string& profile);

}  // namespace cacheclip
