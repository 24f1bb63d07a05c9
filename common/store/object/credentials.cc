#include "common/store/object/credentials.h"

#include <cstdlib>
#include <mutex>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/store/object/web_identity.h"

namespace cacheclip {
namespace {

absl::Status NoCredentials(std::string_view field, const std::string& problem) {
  return FieldError(absl::StatusCode::kFailedPrecondition, field, problem);
}

std::string Value(const Environment& environment, const std::string& name) {
  return environment(name).value_or("");
}

class FixedCredentials : public CredentialsProvider {
 public:
  explicit FixedCredentials(Credentials credentials) : credentials_(std::move(credentials)) {}
  absl::StatusOr<Credentials> Get(const CancellationToken& /*token*/) override { return credentials_; }

 private:
  const Credentials credentials_;
};

class FileCredentials : public CredentialsProvider {
 public:
  FileCredentials(std::string path, std::string profile, Clock* clock)
      : path_(std::move(path)), profile_(std::move(profile)), clock_(clock) {}

  absl::StatusOr<Credentials> Get(const CancellationToken& /*token*/) override {
    std::lock_guard lock(mutex_);
    if (read_at_ && clock_->Now() - *read_at_ < kCredentialsFileLifetime) return credentials_;
    auto text = ReadFile(path_, kMaxCredentialsFileBytes);
    if (!text.ok()) return NoCredentials("s3_credentials_file", std::string(text.status().message()));
    auto parsed = ParseCredentialsFile(*text, profile_);
    if (!parsed.ok())
      return NoCredentials("s3_credentials_file", absl::StrCat(path_, ": ", parsed.status().message()));
    credentials_ = *std::move(parsed);
    credentials_.source = absl::StrCat("profile ", profile_, " of ", path_);
    read_at_ = clock_->Now();
    return credentials_;
  }

 private:
  const std::string path_, profile_;
  Clock* const clock_;
  std::mutex mutex_;
  Credentials credentials_;
  std::optional<absl::Time> read_at_;
};

std::unique_ptr<CredentialsProvider> FromFile(const CredentialsOptions& options) {
  const Environment& environment = options.environment;
  std::string path = options.credentials_file;
  if (path.empty()) path = Value(environment, "AWS_SHARED_CREDENTIALS_FILE");
  if (path.empty() && !Value(environment, "HOME").empty())
    path = absl::StrCat(Value(environment, "HOME"), "/.aws/credentials");
  if (path.empty()) return nullptr;
  std::string profile = options.profile;
  if (profile.empty()) profile = Value(environment, "AWS_PROFILE");
  if (profile.empty()) profile = "default";
  return std::make_unique<FileCredentials>(std::move(path), std::move(profile), options.clock);
}

}  // namespace

Environment ProcessEnvironment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

absl::StatusOr<Credentials> ParseCredentialsFile(const std::string& text, const std::string& profile) {
  Credentials credentials;
  bool is_in_profile = false, is_found = false;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      is_in_profile = absl::StripAsciiWhitespace(line.substr(1, line.find(']') - 1)) == profile;
      is_found = is_found || is_in_profile;
      continue;
    }
    const size_t equals = line.find('=');
    if (!is_in_profile || equals == line.npos) continue;
    const std::string name = absl::AsciiStrToLower(absl::StripAsciiWhitespace(line.substr(0, equals)));
    const std::string value(absl::StripAsciiWhitespace(line.substr(equals + 1)));
    if (name == "aws_access_key_id") credentials.access_key_id = value;
    if (name == "aws_secret_access_key") credentials.secret_access_key = value;
    if (name == "aws_session_token") credentials.session_token = value;
  }
  if (!is_found) return absl::NotFoundError(absl::StrCat("has no profile [", profile, "]"));
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty())
    return absl::NotFoundError(
        absl::StrCat("profile [", profile, "] lacks aws_access_key_id or aws_secret_access_key"));
  return credentials;
}

absl::StatusOr<std::unique_ptr<CredentialsProvider>> MakeCredentialsProvider(CredentialsOptions options) {
  const Environment& environment = options.environment;
  if (!options.credentials_file.empty() || !options.profile.empty()) {
    if (auto provider = FromFile(options)) return provider;
    return NoCredentials("s3_credentials_file", "s3_profile is set, but no file is, and there is no HOME");
  }
  Credentials credentials{Value(environment, "AWS_ACCESS_KEY_ID"),
                          Value(environment, "AWS_SECRET_ACCESS_KEY"),
                          Value(environment, "AWS_SESSION_TOKEN"), absl::InfiniteFuture(), "the environment"};
  if (!credentials.access_key_id.empty() && !credentials.secret_access_key.empty())
    return std::make_unique<FixedCredentials>(std::move(credentials));
  if (credentials.access_key_id.empty() != credentials.secret_access_key.empty())
    return NoCredentials("s3_credentials", "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set");
  if (!Value(environment, "AWS_ROLE_ARN").empty() &&
      !Value(environment, "AWS_WEB_IDENTITY_TOKEN_FILE").empty())
    return MakeWebIdentityCredentials(options);
  if (auto provider = FromFile(options)) return provider;
  return NoCredentials("s3_credentials",
                       "none: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_ROLE_ARN and "
                       "AWS_WEB_IDENTITY_TOKEN_FILE, or s3_credentials_file");
}

}  // namespace cacheclip
