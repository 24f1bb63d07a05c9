// Objects in a bucket of Amazon S3 or of a server that speaks its protocol (MinIO, Ceph, VersityGW, …):
// signed requests over kept connections, ranged reads, conditional puts, multipart uploads above a size,
// listings in pages. What fails for a passing reason is tried again with back-off and jitter within the
// deadline. A put that was answered is whole and durable as far as the server promises; an upload that a
// killed writer left behind is never visible, and goes by a lifecycle rule of the bucket ("abort incomplete
// multipart uploads"). The credentials need s3:GetObject, PutObject, DeleteObject and AbortMultipartUpload on
// the objects and s3:ListBucket on the bucket (without it Amazon answers 403 for what is not there).
// Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/store/object/credentials.h"
#include "common/store/object/http_client.h"
#include "common/store/object/object_client.h"
#include "common/store/object/retry.h"
#include "common/store/object/s3_request.h"

namespace cacheclip {

inline constexpr int64_t kMinS3PartBytes = int64_t{5} << 20;  // S3's own rule for all parts but the last
inline constexpr int64_t kMaxS3Parts = 10'000;                // likewise

struct S3ObjectClientOptions {
  std::string bucket;
  std::string prefix;                     // "" or without slashes at either end
  std::string region = "us-east-1";       // signed for; and of Amazon's endpoint
  std::string endpoint;                   // empty: Amazon's
  bool path_style = false;                // most other servers need true
  std::string credentials_file, profile;  // see credentials.h
  Environment environment = ProcessEnvironment();
  int64_t multipart_bytes = int64_t{32} << 20;  // objects above this are uploaded in parts
  int64_t part_bytes = int64_t{16} << 20;       // kMinS3PartBytes or more
  HttpClientOptions http;  // clock: must be the one of the tokens; tls_ca: StsAuthority()
  RetryOptions retry;      // likewise
  // Called between the steps of a multipart upload ("created", "part", "completed"); tests kill the process
  // there.
  std::function<void(std::string_view step)> on_upload_step;
};

class S3ObjectClient : public ObjectClient {
 public:
  // Touches no network. Errors name the setting.
  static absl::StatusOr<std::unique_ptr<S3ObjectClient>> Create(S3ObjectClientOptions options);

  absl::Status Put(std::string_view name, std::span<const std::byte> bytes, PutMode mode,
                   const CancellationToken& token) override;
  absl::StatusOr<ObjectRead> Read(std::string_view name, int64_t offset, std::span<std::byte> out,
                                  const CancellationToken& token) override;
  absl::StatusOr<ObjectInfo> Head(std::string_view name, const CancellationToken& token) override;
  absl::Status Delete(std::string_view name, const CancellationToken& token) override;
  absl::StatusOr<ObjectPage> List(std::string_view prefix, const std::string& page, int max_objects,
                                  const CancellationToken& token) override;
  const std::string& url() const override { return url_; }

 private:
  explicit S3ObjectClient(S3ObjectClientOptions options);

  // Signs and sends until there is an answer that is no passing failure. `accept` says which statuses beside
  // 2xx are returned as a response; any other one is an error.
  struct Call;
  absl::StatusOr<HttpResponse> Send(const Call& call, const CancellationToken& token);
  absl::StatusOr<HttpResponse> SendOnce(const Call& call, const CancellationToken& token);

  absl::Status PutWhole(const std::string& key, std::span<const std::byte> bytes, PutMode mode,
                        const CancellationToken& token);
  absl::Status PutInParts(const std::string& key, std::span<const std::byte> bytes, PutMode mode,
                          const CancellationToken& token);
  absl::StatusOr<std::string> UploadParts(const std::string& key, const std::string& upload,
                                          std::span<const std::byte> bytes, const CancellationToken& token);
  absl::Status CompleteUpload(const std::string& key, const std::string& upload, const std::string& manifest,
                              PutMode mode, const CancellationToken& token);
  void AbortUpload(const std::string& key, const std::string& upload);
  std::string Key(std::string_view name) const;
  void Step(std::string_view name) const;

  const S3ObjectClientOptions options_;
  const std::string url_;
  S3Address address_;
  std::unique_ptr<HttpClient> http_;
  std::unique_ptr<HttpClient> sts_http_;  // another authority may vouch for it
  std::unique_ptr<CredentialsProvider> credentials_;
  const Retrier retrier_;
};

}  // namespace cacheclip
