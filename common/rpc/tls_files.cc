#include "common/rpc/tls_files.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/base/string_view.h"

namespace cacheclip {
namespace {

constexpr int64_t kMaxPemBytes = int64_t{1} << 20;

}  // namespace

absl::StatusOr<std::string> ReadPem(std::string_view option, const std::string& file) {
  if (file.empty()) return std::string();
  absl::StatusOr<std::string> text = ReadFile(file, kMaxPemBytes);
  if (!text.ok()) return FieldError(text.status().code(), option, StdView(text.status().message()));
  if (!absl::StrContains(*text, "-----BEGIN "))
    return InvalidField(option, absl::StrCat(file, " is no PEM file"));
  return text;
}

absl::StatusOr<KeyPair> ReadKeyPair(std::string_view prefix, const std::string& certificate_file,
                                    const std::string& key_file) {
  const std::string certificate_option = absl::StrCat(AbslView(prefix), "certificate");
  const std::string key_option = absl::StrCat(AbslView(prefix), "key");
  if (certificate_file.empty() && !key_file.empty())
    return InvalidField(certificate_option, absl::StrCat("must be set too, as ", key_option, " is"));
  if (key_file.empty() && !certificate_file.empty())
    return InvalidField(key_option, absl::StrCat("must be set too, as ", certificate_option, " is"));
  KeyPair pair;
  CACHECLIP_ASSIGN_OR_RETURN(pair.certificate, ReadPem(certificate_option, certificate_file));
  CACHECLIP_ASSIGN_OR_RETURN(pair.key, ReadPem(key_option, key_file));
  return pair;
}

}  // namespace cacheclip
