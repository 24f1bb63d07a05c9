#include "common/store/object/web_identity.h"

#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/file.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/store/object/s3_error.h"
#include "common/store/object/s3_request.h"
#include "common/store/object/s3_xml.h"

namespace cacheclip {
namespace {

struct Role {
  std::string arn, session_name, token_file, endpoint, region;
};

// "https://sts.eu-west-1.amazonaws.com:443/x" -> "sts.eu-west-1.amazonaws.com".
std::string_view HostOf(std::string_view endpoint) {
  const size_t scheme = endpoint.find("://");
  if (scheme != std::string_view::npos) endpoint.remove_prefix(scheme + 3);
  return endpoint.substr(0, endpoint.find_first_of(":/"));
}

class WebIdentityCredentials : public CredentialsProvider {
 public:
  WebIdentityCredentials(Role role, const CredentialsOptions& options)
      : role_(std::move(role)), http_(*options.http), retrier_(options.retry), clock_(options.clock) {}

  absl::StatusOr<Credentials> Get(const CancellationToken& token) override {
    std::lock_guard lock(mutex_);
    const absl::Time now = clock_->Now();
    if (now + kCredentialsRenewBefore < credentials_.expiry) return credentials_;
    auto renewed = Exchange(token);
    if (renewed.ok()) {
      credentials_ = *std::move(renewed);
    } else if (now >= credentials_.expiry) {
      return renewed.status();
    } else {
      CACHECLIP_LOG(Warning) << "web identity: renewal failed, the key expires at "
                             << absl::FormatTime(credentials_.expiry) << ": " << renewed.status().message();
    }
    return credentials_;
  }

 private:
  absl::StatusOr<Credentials> Exchange(const CancellationToken& token) {
    auto identity = ReadFile(role_.token_file, kMaxWebIdentityTokenBytes);
    if (!identity.ok())
      return FieldError(absl::StatusCode::kFailedPrecondition, "s3_credentials",
                        absl::StrCat("AWS_WEB_IDENTITY_TOKEN_FILE: ", identity.status().message()));
    const std::string form =
        absl::StrCat("Action=AssumeRoleWithWebIdentity&RoleArn=", PercentEncode(role_.arn, false),
                     "&RoleSessionName=", PercentEncode(role_.session_name, false),
                     "&Version=2011-06-15&WebIdentityToken=",
                     PercentEncode(std::string(absl::StripAsciiWhitespace(*identity)), false));
    Credentials credentials;
    CACHECLIP_RETURN_IF_ERROR(retrier_.Run(token, [&] { return Ask(form, token, credentials); }));
    return credentials;
  }

  absl::Status Ask(const std::string& form, const CancellationToken& token, Credentials& credentials) {
    HttpRequest request;
    request.method = "POST";
    request.url = absl::StrCat(role_.endpoint, "/");
    request.headers = {"Content-Type: application/x-www-form-urlencoded"};
    request.body = std::as_bytes(std::span(form));
    CACHECLIP_ASSIGN_OR_RETURN(const HttpResponse response, http_.Send(request, token));
    if (response.status != 200)
      return S3ErrorStatus(response, {absl::StrCat("assume role ", role_.arn, " at ", role_.endpoint),
                                      role_.region, "web identity"});
    CACHECLIP_ASSIGN_OR_RETURN(StsCredentials answer, ParseStsCredentials(response.body));
    credentials = {std::move(answer.access_key_id), std::move(answer.secret_access_key),
                   std::move(answer.session_token), answer.expiry, "web identity"};
    return absl::OkStatus();
  }

  const Role role_;
  HttpClient& http_;
  const Retrier retrier_;
  Clock* const clock_;
  std::mutex mutex_;
  Credentials credentials_{"", "", "", absl::InfinitePast(), ""};
};

}  // namespace

std::string StsAuthority(const Environment& environment, const std::string& s3_tls_ca) {
  const std::string endpoint = environment("AWS_ENDPOINT_URL_STS").value_or("");
  const std::string_view host = HostOf(endpoint);
  const bool is_amazons =
      host.empty() || host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
  return is_amazons ? "" : s3_tls_ca;
}

absl::StatusOr<std::unique_ptr<CredentialsProvider>> MakeWebIdentityCredentials(
    const CredentialsOptions& options) {
  CACHECLIP_CHECK(options.http != nullptr);
  const auto value = [&](const char* name) { return options.environment(name).value_or(""); };
  Role role{value("AWS_ROLE_ARN"), value("AWS_ROLE_SESSION_NAME"), value("AWS_WEB_IDENTITY_TOKEN_FILE"),
            value("AWS_ENDPOINT_URL_STS"), options.region};
  if (role.session_name.empty()) role.session_name = "cacheclip";
  if (role.endpoint.empty()) role.endpoint = absl::StrCat("https://sts.", options.region, ".amazonaws.com");
  if (!absl::StartsWith(role.endpoint, "https://") && !absl::StartsWith(role.endpoint, "http://"))
    return InvalidField("AWS_ENDPOINT_URL_STS", "must begin with \"https://\" or \"http://\"");
  role.endpoint = std::string(absl::StripSuffix(role.endpoint, "/"));
  return std::make_unique<WebIdentityCredentials>(std::move(role), options);
}

}  // namespace cacheclip
