#include "common/store/object/s3_object_client.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/base/string_view.h"
#include "common/store/object/object_location.h"
#include "common/store/object/s3_error.h"
#include "common/store/object/s3_xml.h"
#include "common/store/object/web_identity.h"

namespace cacheclip {
namespace {

constexpr int kPartialContent = 206;
constexpr int kRangeNotSatisfiable = 416;

std::string MakeUrl(const S3ObjectClientOptions& options) {
  return ObjectUrl({ObjectLocation::Kind::kS3, "", options.bucket, options.prefix});
}

// The size behind the slash of "bytes 0-9/1234" or "bytes */1234".
absl::StatusOr<int64_t> ObjectBytesOf(const HttpResponse& response) {
  const std::string range = response.Header("content-range");
  const size_t slash = range.find('/');
  int64_t bytes = -1;
  if (slash == range.npos || !absl::SimpleAtoi(range.substr(slash + 1), &bytes) || bytes < 0)
    return absl::UnavailableError(absl::StrCat("no object size in Content-Range \"", range, "\""));
  return bytes;
}

absl::StatusOr<int64_t> ContentLengthOf(const HttpResponse& response) {
  int64_t bytes = -1;
  if (!absl::SimpleAtoi(response.Header("content-length"), &bytes) || bytes < 0)
    return absl::UnavailableError("a response without Content-Length");
  return bytes;
}

absl::Time LastModifiedOf(const HttpResponse& response) {
  absl::Time time = absl::UnixEpoch();
  absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", response.Header("last-modified"), &time, nullptr);
  return time;
}

std::string ConditionHeader() { return "If-None-Match: *"; }

}  // namespace

struct S3ObjectClient::Call {
  std::string method;
  std::string key;  // with the prefix; empty: the bucket
  S3Query query;
  std::span<const std::byte> body;
  std::vector<std::string> headers;
  std::span<std::byte> out;
  int64_t max_body_bytes = int64_t{64} << 10;
  std::vector<int> accept;  // statuses beside 2xx that are an answer
};

S3ObjectClient::S3ObjectClient(S3ObjectClientOptions options)
    : options_(std::move(options)), url_(MakeUrl(options_)), retrier_(options_.retry) {}

absl::StatusOr<std::unique_ptr<S3ObjectClient>> S3ObjectClient::Create(S3ObjectClientOptions options) {
  if (options.part_bytes < kMinS3PartBytes)
    return InvalidField("part_bytes",
                        absl::StrCat("at least ", kMinS3PartBytes, ", got ", options.part_bytes));
  CACHECLIP_RETURN_IF_ERROR(ParseObjectUrl(MakeUrl(options)).status());
  std::unique_ptr<S3ObjectClient> client(new S3ObjectClient(std::move(options)));
  const S3ObjectClientOptions& checked = client->options_;
  CACHECLIP_ASSIGN_OR_RETURN(client->address_, MakeS3Address({checked.bucket, checked.region,
                                                              checked.endpoint, checked.path_style}));
  CACHECLIP_ASSIGN_OR_RETURN(client->http_, HttpClient::Create(checked.http));
  HttpClientOptions sts = checked.http;
  sts.tls_ca = StsAuthority(checked.environment, checked.http.tls_ca);
  sts.max_connections = 1;
  CACHECLIP_ASSIGN_OR_RETURN(client->sts_http_, HttpClient::Create(sts));
  CACHECLIP_ASSIGN_OR_RETURN(
      client->credentials_,
      MakeCredentialsProvider({checked.credentials_file, checked.profile, checked.region, checked.environment,
                               client->sts_http_.get(), checked.retry, checked.retry.clock}));
  return client;
}

std::string S3ObjectClient::Key(std::string_view name) const {
  return absl::StrCat(options_.prefix, options_.prefix.empty() ? "" : "/", AbslView(name));
}

void S3ObjectClient::Step(std::string_view name) const {
  if (options_.on_upload_step) options_.on_upload_step(name);
}

absl::StatusOr<HttpResponse> S3ObjectClient::Send(const Call& call, const CancellationToken& token) {
  HttpResponse answer;
  CACHECLIP_RETURN_IF_ERROR(retrier_.Run(token, [&]() -> absl::Status {
    CACHECLIP_ASSIGN_OR_RETURN(answer, SendOnce(call, token));
    return absl::OkStatus();
  }));
  return answer;
}

absl::StatusOr<HttpResponse> S3ObjectClient::SendOnce(const Call& call, const CancellationToken& token) {
  CACHECLIP_ASSIGN_OR_RETURN(const Credentials credentials, credentials_->Get(token));
  HttpRequest request = MakeS3Request(call.method, S3Url(address_, call.key, call.query), call.body);
  request.headers.insert(request.headers.end(), call.headers.begin(), call.headers.end());
  request.out = call.out;
  request.max_body_bytes = call.max_body_bytes;
  request.signing = AwsSigning{"s3", options_.region, credentials.access_key_id,
                               credentials.secret_access_key, credentials.session_token};
  const std::string what = absl::StrCat(call.method, " ", call.key.empty() ? "list" : call.key, " of ", url_);
  auto response = http_->Send(request, token);
  if (!response.ok()) return WithContext(response.status(), what);
  if ((response->status >= 200 && response->status < 300) ||
      std::ranges::count(call.accept, response->status) > 0)
    return response;
  return S3ErrorStatus(*response, {what, options_.region, credentials.source});
}

absl::Status S3ObjectClient::Put(std::string_view name, std::span<const std::byte> bytes, PutMode mode,
                                 const CancellationToken& token) {
  CACHECLIP_RETURN_IF_ERROR(ValidateObjectName(name));
  if (static_cast<int64_t>(bytes.size()) > options_.multipart_bytes)
    return PutInParts(Key(name), bytes, mode, token);
  return PutWhole(Key(name), bytes, mode, token);
}

absl::Status S3ObjectClient::PutWhole(const std::string& key, std::span<const std::byte> bytes, PutMode mode,
                                      const CancellationToken& token) {
  Call call{.method = "PUT", .key = key, .body = bytes};
  if (mode == PutMode::kIfAbsent) call.headers.push_back(ConditionHeader());
  return Send(call, token).status();
}

absl::Status S3ObjectClient::PutInParts(const std::string& key, std::span<const std::byte> bytes,
                                        PutMode mode, const CancellationToken& token) {
  if (static_cast<int64_t>(bytes.size()) > options_.part_bytes * kMaxS3Parts)
    return absl::ResourceExhaustedError(
        absl::StrCat(bytes.size(), " bytes are more than ", kMaxS3Parts, " parts of ", options_.part_bytes));
  const Call create{.method = "POST", .key = key, .query = {{"uploads", ""}}};
  CACHECLIP_ASSIGN_OR_RETURN(const HttpResponse created, Send(create, token));
  CACHECLIP_ASSIGN_OR_RETURN(const std::string upload, ParseS3UploadId(created.body));
  Step("created");
  const auto manifest = UploadParts(key, upload, bytes, token);
  absl::Status status = manifest.status();
  if (status.ok()) status = CompleteUpload(key, upload, *manifest, mode, token);
  if (absl::IsNotFound(
          status)) {  // the upload is gone: perhaps an answer got lost, and it had been completed
    const auto head = Head(std::string_view(key).substr(Key("").size()), token);
    if (head.ok() && head->num_bytes == static_cast<int64_t>(bytes.size())) return absl::OkStatus();
    status = absl::UnavailableError(absl::StrCat("the upload of ", key, " is gone: ", status.message()));
  }
  if (!status.ok()) AbortUpload(key, upload);
  return status;
}

absl::StatusOr<std::string> S3ObjectClient::UploadParts(const std::string& key, const std::string& upload,
                                                        std::span<const std::byte> bytes,
                                                        const CancellationToken& token) {
  std::string manifest = "<CompleteMultipartUpload>";
  for (int number = 1; !bytes.empty(); ++number) {
    const auto part = bytes.first(std::min<size_t>(bytes.size(), options_.part_bytes));
    const Call call{.method = "PUT",
                    .key = key,
                    .query = {{"partNumber", absl::StrCat(number)}, {"uploadId", upload}},
                    .body = part};
    CACHECLIP_ASSIGN_OR_RETURN(const HttpResponse response, Send(call, token));
    const std::string tag = response.Header("etag");
    if (tag.empty() || tag.find_first_of("<>&") != tag.npos)
      return absl::UnavailableError(absl::StrCat("part ", number, " of ", key, ": no usable ETag"));
    absl::StrAppend(&manifest, "<Part><PartNumber>", number, "</PartNumber><ETag>", tag, "</ETag></Part>");
    bytes = bytes.subspan(part.size());
    Step("part");
  }
  return absl::StrCat(manifest, "</CompleteMultipartUpload>");
}

absl::Status S3ObjectClient::CompleteUpload(const std::string& key, const std::string& upload,
                                            const std::string& manifest, PutMode mode,
                                            const CancellationToken& token) {
  Call call{.method = "POST",
            .key = key,
            .query = {{"uploadId", upload}},
            .body = std::as_bytes(std::span(manifest))};
  if (mode == PutMode::kIfAbsent) call.headers.push_back(ConditionHeader());
  return retrier_.Run(token, [&]() -> absl::Status {
    CACHECLIP_ASSIGN_OR_RETURN(const HttpResponse response, SendOnce(call, token));
    // A completion that fails late answers 200 with an error as its body.
    if (!absl::StrContains(response.body, "CompleteMultipartUploadResult"))
      return S3ErrorStatus(response, {absl::StrCat("complete ", key), options_.region, ""});
    Step("completed");
    return absl::OkStatus();
  });
}

// Best effort, once and briefly: the caller's own deadline may have passed. What stays goes by lifecycle
// rule.
void S3ObjectClient::AbortUpload(const std::string& key, const std::string& upload) {
  const CancellationToken token(options_.http.clock->Now() + absl::Seconds(2), {}, options_.http.clock);
  const Call call{.method = "DELETE", .key = key, .query = {{"uploadId", upload}}};
  SendOnce(call, token).status().IgnoreError();
}

absl::StatusOr<ObjectRead> S3ObjectClient::Read(std::string_view name, int64_t offset,
                                                std::span<std::byte> out, const CancellationToken& token) {
  CACHECLIP_RETURN_IF_ERROR(ValidateObjectName(name));
  if (out.empty()) return InvalidField("out", "must not be empty");
  const Call call{.method = "GET",
                  .key = Key(name),
                  .headers = {absl::StrCat("Range: bytes=", offset, "-", offset + out.size() - 1)},
                  .out = out,
                  .accept = {kRangeNotSatisfiable}};
  CACHECLIP_ASSIGN_OR_RETURN(const HttpResponse response, Send(call, token));
  if (response.status == kRangeNotSatisfiable) {  // behind the end; some servers leave out the size
    const auto bytes = ObjectBytesOf(response);
    return ObjectRead{0, bytes.value_or(offset)};
  }
  if (response.status == kPartialContent) {
    CACHECLIP_ASSIGN_OR_RETURN(const int64_t object_bytes, ObjectBytesOf(response));
    const int64_t expected = std::clamp<int64_t>(object_bytes - offset, 0, static_cast<int64_t>(out.size()));
    if (response.num_out_bytes != expected)
      return absl::UnavailableError(
          absl::StrCat("GET ", call.key, ": got ", response.num_out_bytes, " bytes of ", expected));
    return ObjectRead{response.num_out_bytes, object_bytes};
  }
  // The whole object, as long as it fits: only right where that is what was asked for.
  if (offset != 0)
    return absl::UnavailableError(absl::StrCat("GET ", call.key, ": the server ignores ranges"));
  return ObjectRead{response.num_out_bytes, response.num_out_bytes};
}

absl::StatusOr<ObjectInfo> S3ObjectClient::Head(std::string_view name, const CancellationToken& token) {
  CACHECLIP_RETURN_IF_ERROR(ValidateObjectName(name));
  const Call call{.method = "HEAD", .key = Key(name)};
  CACHECLIP_ASSIGN_OR_RETURN(const HttpResponse response, Send(call, token));
  CACHECLIP_ASSIGN_OR_RETURN(const int64_t num_bytes, ContentLengthOf(response));
  return ObjectInfo{std::string(name), num_bytes, LastModifiedOf(response)};
}

absl::Status S3ObjectClient::Delete(std::string_view name, const CancellationToken& token) {
  CACHECLIP_RETURN_IF_ERROR(ValidateObjectName(name));
  const absl::Status status = Send(Call{.method = "DELETE", .key = Key(name)}, token).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<ObjectPage> S3ObjectClient::List(std::string_view prefix, const std::string& page,
                                                int max_objects, const CancellationToken& token) {
  if (max_objects < 1 || max_objects > kMaxObjectsPerPage)
    return InvalidField("max_objects",
                        absl::StrCat("must be 1 to ", kMaxObjectsPerPage, ", got ", max_objects));
  Call call{.method = "GET",
            .query = {{"encoding-type", "url"},
                      {"list-type", "2"},
                      {"max-keys", absl::StrCat(max_objects)},
                      {"prefix", Key(prefix)}},
            .max_body_bytes = kMaxS3XmlBytes};
  if (!page.empty()) call.query["continuation-token"] = page;
  S3Listing listing;
  CACHECLIP_RETURN_IF_ERROR(retrier_.Run(token, [&]() -> absl::Status {
    CACHECLIP_ASSIGN_OR_RETURN(const HttpResponse response, SendOnce(call, token));
    CACHECLIP_ASSIGN_OR_RETURN(listing, ParseS3Listing(response.body));
    return absl::OkStatus();
  }));
  ObjectPage result{{}, std::move(listing.next_token)};
  const std::string own_prefix = Key("");
  for (S3Listing::Entry& entry : listing.entries)
    if (absl::StartsWith(entry.key, own_prefix))
      result.objects.push_back({entry.key.substr(own_prefix.size()), entry.num_bytes, entry.modified});
  return result;
}

}  // namespace cacheclip
