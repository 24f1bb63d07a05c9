// Credentials for a workload identity, as Kubernetes gives it to a pod: the token in
// AWS_WEB_IDENTITY_TOKEN_FILE, which the platform renews, is exchanged at STS (AssumeRoleWithWebIdentity) for
// a key of limited life. The key is renewed kCredentialsRenewBefore its expiry; while the old one is still
// valid, a failing renewal is logged and the old one used. One exchange at a time. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/store/object/credentials.h"

namespace cacheclip {

inline constexpr int64_t kMaxWebIdentityTokenBytes = int64_t{64} << 10;

// Which authority vouches for STS: that of the S3 server, `s3_tls_ca`, where AWS_ENDPOINT_URL_STS names a
// server that is not Amazon's; else "", the system's, since Amazon's STS is also where the keys of a private
// S3 server may come from.
std::string StsAuthority(const Environment& environment, const std::string& s3_tls_ca);

// `options.http` must be set. INVALID_ARGUMENT naming AWS_ENDPOINT_URL_STS when that is no address.
absl::StatusOr<std::unique_ptr<CredentialsProvider>> MakeWebIdentityCredentials(
    const CredentialsOptions& options);

}  // namespace cacheclip
