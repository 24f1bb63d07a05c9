#include "common/store/object/s3_request.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

bool IsHostCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == ':' || c == '[' ||
         c == ']';
}

bool IsRegion(std::string_view region) {
  return !region.empty() && region.size() <= 64 && std::ranges::all_of(region, [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) || absl::ascii_isdigit(c) || c == '-';
  });
}

}  // namespace

absl::StatusOr<S3Address> MakeS3Address(const S3AddressOptions& options) {
  if (!IsRegion(options.region))
    return InvalidField("s3_region",
                        absl::StrCat("\"", options.region, "\" is no region: a-z, 0-9 and \"-\""));
  const std::string endpoint = options.endpoint.empty()
                                   ? absl::StrCat("https://s3.", options.region, ".amazonaws.com")
                                   : options.endpoint;
  absl::string_view host = endpoint;
  absl::string_view scheme = "https://";
  if (!absl::ConsumePrefix(&host, scheme)) {
    scheme = "http://";
    if (!absl::ConsumePrefix(&host, scheme))
      return InvalidField("s3_endpoint", "must begin with \"https://\" or \"http://\"");
  }
  absl::ConsumeSuffix(&host, "/");
  if (host.empty() || !std::ranges::all_of(host, IsHostCharacter))
    return InvalidField("s3_endpoint", "must be scheme://host or scheme://host:port, without path or user");
  if (options.path_style) return S3Address{absl::StrCat(scheme, host, "/", options.bucket)};
  if (scheme == "https://" && absl::StrContains(options.bucket, '.'))
    return InvalidField("s3_path_style",
                        "a bucket name with dots has no certificate of its own: use path style");
  return S3Address{absl::StrCat(scheme, options.bucket, ".", host)};
}

std::string PercentEncode(std::string_view text, bool keep_slashes) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '.' || c == '_' || c == '~' ||
        (keep_slashes && c == '/')) {
      encoded += c;
    } else {
      encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

absl::StatusOr<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      uint8_t byte = 0;
      if (text.size() - i < 3 || !FromHex(text.substr(i + 1, 2), {&byte, 1}))
        return absl::InvalidArgumentError("broken percent escape");
      decoded += static_cast<char>(byte);
      i += 2;
    }
  }
  return decoded;
}

std::string S3Url(const S3Address& address, std::string_view key, const S3Query& query) {
  std::string url = absl::StrCat(address.base, "/", PercentEncode(key, true));
  char separator = '?';
  for (const auto& [name, value] : query) {  // a map is sorted; the names hold unreserved characters only
    absl::StrAppend(&url, std::string(1, separator), name, "=", PercentEncode(value, false));
    separator = '&';
  }
  return url;
}

HttpRequest MakeS3Request(std::string method, std::string url, std::span<const std::byte> body) {
  HttpRequest request;
  request.method = std::move(method);
  request.url = std::move(url);
  request.body = body;
  Sha256 digest;
  digest.AddBytes(body.data(), body.size());
  request.headers.push_back(absl::StrCat("x-amz-content-sha256: ", ToHex(digest.Finish())));
  if (!body.empty()) request.headers.push_back("Content-Type: application/octet-stream");
  return request;
}

}  // namespace cacheclip
