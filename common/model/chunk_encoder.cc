#include "common/model/chunk_encoder.h"

#include <algorithm>
#include <cstring>

#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/kv/chunk_builder.h"
#include "common/kv/chunk_format.h"
#include "common/kv/int8_quantiser.h"
#include "common/model/forward_pass.h"

namespace cacheclip {
namespace {

void CopyTo(std::span<std::byte> out, const at::Tensor& tensor) {
  const at::Tensor host = tensor.cpu().contiguous();
  std::memcpy(out.data(), host.const_data_ptr(), std::min(out.size(), host.nbytes()));
}

std::span<const float> Floats(const at::Tensor& contiguous) {
  return {contiguous.const_data_ptr<float>(), static_cast<size_t>(contiguous.numel())};
}

std::span<int8_t> Elements(std::span<std::byte> bytes) {
  return {reinterpret_cast<int8_t*>(bytes.data()), bytes.size()};
}

absl::Status Capture(ChunkBuilder& builder, const KvShape& shape, int layer, const Projections& projections) {
  if (!shape.HasScales()) {
    CopyTo(builder.MutableKeys(layer), projections.unrotated_keys);
    CopyTo(builder.MutableValues(layer), projections.values);
    return absl::OkStatus();
  }
  const at::Tensor keys = projections.unrotated_keys.cpu().to(at::kFloat).contiguous();
  const at::Tensor values = projections.values.cpu().to(at::kFloat).contiguous();
  absl::Status status =
      QuantiseKeys(Floats(keys), Elements(builder.MutableKeys(layer)), builder.MutableKeyScales(layer));
  if (status.ok())
    status = QuantiseValues(Floats(values), Elements(builder.MutableValues(layer)),
                            builder.MutableValueScales(layer));
  return status.ok() ? status : WithContext(status, absl::StrCat("layer ", layer));
}

}  // namespace

ChunkEncoder::ChunkEncoder(std::shared_ptr<const LanguageModel> model, ChunkEncoderOptions options)
    : model_(std::move(model)), options_(std::move(options)) {
  CACHECLIP_CHECK(chunk_shape().HasScales() || chunk_shape() == model_->kv_shape())
      << "chunks of " << chunk_shape().ToString() << " from a model of " << model_->kv_shape().ToString();
}
ChunkEncoder::~ChunkEncoder() = default;

KvShape ChunkEncoder::chunk_shape() const {
  KvShape shape = model_->kv_shape();
  shape.dtype = options_.kv_dtype.value_or(shape.dtype);
  return shape;
}

ChunkIdentity ChunkEncoder::IdentityOf(const KvShape& shape, std::span<const int32_t> prefix_ids,
                                       std::span<const int32_t> chunk_ids) const {
  return {.format_version = kChunkFormatVersion,
          .model_fingerprint = model_->fingerprint(),
          .tokenizer_fingerprint = options_.tokenizer_fingerprint,
          .rope_parameters = model_->config().rope.Canonical(),
          .shape = shape,
          .prefix_ids = prefix_ids,
          .chunk_ids = chunk_ids,
          .namespace_salt = options_.namespace_salt};
}

ChunkKey ChunkEncoder::KeyOf(std::span<const int32_t> chunk_ids) const {
  return ComputeChunkKey(IdentityOf(chunk_shape(), options_.prefix_ids, chunk_ids));
}

ChunkKey ChunkEncoder::PrefixKey() const {
  return ComputeChunkKey(IdentityOf(model_->kv_shape(), {}, options_.prefix_ids));
}

absl::Status ChunkEncoder::PreparePrefix(int32_t chunk_tokens) {
  constexpr int32_t kRoom = 1024;  // sessions grow in steps, so that chunks of similar length share one
  const int32_t prefix = static_cast<int32_t>(options_.prefix_ids.size());
  const int64_t limit = model_->config().max_positions;
  if (prefix + chunk_tokens > limit)
    return absl::ResourceExhaustedError(absl::StrCat("prefix (", prefix, " tokens) and chunk (", chunk_tokens,
                                                     ") exceed the model's context length ", limit));
  if (session_ != nullptr && session_->capacity() >= prefix + chunk_tokens) return absl::OkStatus();
  const int64_t wanted = prefix + (chunk_tokens + kRoom - 1) / kRoom * kRoom;
  CACHECLIP_ASSIGN_OR_RETURN(session_,
                             InferenceSession::Create(model_, static_cast<int32_t>(std::min(wanted, limit))));
  if (prefix == 0) return absl::OkStatus();
  Rows rows;
  rows.Append(options_.prefix_ids, 0, 0);
  const absl::Status status = session_->Run(rows).status();
  if (!status.ok()) session_ = nullptr;
  return status;
}

absl::StatusOr<std::shared_ptr<const EncodedChunk>> ChunkEncoder::RunAndCapture(
    ChunkIdentity identity, std::span<const TokenSpan> spans, int64_t created_unix_seconds,
    const CancellationToken& cancellation) {
  ChunkHeader header = MakeChunkHeader(identity);
  header.key = ComputeChunkKey(identity);
  header.token_spans.assign(spans.begin(), spans.end());
  header.writer_version = options_.writer_version;
  header.created_unix_seconds = created_unix_seconds;
  CACHECLIP_ASSIGN_OR_RETURN(ChunkBuilder builder, ChunkBuilder::Create(std::move(header)));
  const c10::InferenceMode inference;
  Rows rows;
  const int32_t begin = static_cast<int32_t>(identity.prefix_ids.size());
  rows.Append(identity.chunk_ids, begin, begin);
  CACHECLIP_RETURN_IF_ERROR(session_->CheckRows(rows));
  ForwardPass pass(model_->tensors(), model_->config(), session_->cache(), rows);
  const ForwardHooks hooks{.before_store =
                               [&](int layer, const Projections& projections) {
                                 return Capture(builder, identity.shape, layer, projections);
                               },
                           .cancellation = cancellation};
  CACHECLIP_RETURN_IF_ERROR(pass.RunToProjections(model_->num_layers() - 1, hooks));
  return std::move(builder).Finish();
}

absl::StatusOr<std::shared_ptr<const EncodedChunk>> ChunkEncoder::Encode(
    std::span<const int32_t> chunk_ids, std::span<const TokenSpan> spans, int64_t created_unix_seconds,
    const CancellationToken& cancellation) {
  if (chunk_ids.empty()) return absl::InvalidArgumentError("a chunk needs at least one token");
  CACHECLIP_RETURN_IF_ERROR(PreparePrefix(static_cast<int32_t>(chunk_ids.size())));
  return RunAndCapture(IdentityOf(chunk_shape(), options_.prefix_ids, chunk_ids), spans, created_unix_seconds,
                       cancellation);
}

absl::StatusOr<std::shared_ptr<const EncodedChunk>> ChunkEncoder::EncodePrefix(int64_t created_unix_seconds) {
  if (options_.prefix_ids.empty()) return absl::InvalidArgumentError("there is no prefix to encode");
  CACHECLIP_RETURN_IF_ERROR(PreparePrefix(1));
  return RunAndCapture(IdentityOf(model_->kv_shape(), {}, options_.prefix_ids), {}, created_unix_seconds,
                       CancellationToken());
}

}  // namespace cacheclip
