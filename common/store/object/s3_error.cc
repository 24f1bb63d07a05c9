#include "common/store/object/s3_error.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/store/object/s3_xml.h"

namespace cacheclip {
namespace {

constexpr size_t kMaxServerTextBytes = 200;

template <size_t kCount>
bool IsOneOf(std::string_view code, const std::array<std::string_view, kCount>& codes) {
  return std::ranges::find(codes, code) != codes.end();
}

// XAdminUserNotFound: what VersityGW calls an unknown access key.
constexpr std::array<std::string_view, 9> kCredentialCodes = {
    "InvalidAccessKeyId",   "SignatureDoesNotMatch", "ExpiredToken",
    "InvalidToken",         "InvalidClientTokenId",  "RequestTimeTooSkewed",
    "InvalidIdentityToken", "ExpiredTokenException", "XAdminUserNotFound"};
constexpr std::array<std::string_view, 4> kRegionCodes = {"PermanentRedirect", "TemporaryRedirect",
                                                          "AuthorizationHeaderMalformed",
                                                          "IllegalLocationConstraintException"};
constexpr std::array<std::string_view, 7> kPassingCodes = {"SlowDown",
                                                           "RequestTimeout",
                                                           "InternalError",
                                                           "ServiceUnavailable",
                                                           "Throttling",
                                                           "OperationAborted",
                                                           "ConditionalRequestConflict"};
constexpr std::array<std::string_view, 4> kFullCodes = {"EntityTooLarge", "QuotaExceeded",
                                                        "InsufficientStorage", "XMinioStorageFull"};

std::string Clean(std::string_view text) {
  std::string cleaned(text.substr(0, kMaxServerTextBytes));
  for (char& c : cleaned)
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = ' ';
  return cleaned;
}

std::string Describe(const HttpResponse& response, const S3Error& error, const S3ErrorContext& context) {
  return absl::StrCat(context.what, ": HTTP ", response.status, error.code.empty() ? "" : " ",
                      Clean(error.code), error.message.empty() ? "" : ": ", Clean(error.message));
}

absl::Status ClientErrorStatus(int status, const std::string& text) {
  switch (status) {
    case 401:
      return absl::UnauthenticatedError(text);
    case 403:
      return absl::PermissionDeniedError(text);
    case 404:
      return absl::NotFoundError(text);
    case 408:
    case 409:
    case 425:
    case 429:
      return absl::UnavailableError(text);
    case 412:
      return absl::AlreadyExistsError(text);
    case 413:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::FailedPreconditionError(text);
  }
}

}  // namespace

absl::Status S3ErrorStatus(const HttpResponse& response, const S3ErrorContext& context) {
  const S3Error error = ParseS3Error(response.body);
  const std::string text = Describe(response, error, context);
  if (error.code == "NoSuchBucket")
    return FieldError(absl::StatusCode::kFailedPrecondition, "object_url", text);
  if (IsOneOf(error.code, kCredentialCodes))
    return FieldError(absl::StatusCode::kUnauthenticated, "s3_credentials",
                      absl::StrCat(text, " (credentials from ", context.credentials_source, ")"));
  if (IsOneOf(error.code, kRegionCodes) || (response.status >= 300 && response.status < 400))
    return FieldError(absl::StatusCode::kFailedPrecondition, "s3_region",
                      absl::StrCat(text, "; signed for ", context.region,
                                   error.region.empty() ? "" : ", the bucket is in ", Clean(error.region)));
  if (IsOneOf(error.code, kFullCodes) || response.status == 507) return absl::ResourceExhaustedError(text);
  if (IsOneOf(error.code, kPassingCodes)) return absl::UnavailableError(text);
  if (error.code == "NotImplemented" || response.status == 501) return absl::UnimplementedError(text);
  if (response.status >= 500 || response.status < 300) return absl::UnavailableError(text);
  return ClientErrorStatus(response.status, text);
}

}  // namespace cacheclip
