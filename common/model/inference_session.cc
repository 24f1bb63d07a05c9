#include "common/model/inference_session.h"

#include <algorithm>
#include <optional>

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status.h"
#include "common/model/forward_pass.h"
#include "common/model/kv_cache.h"
#include "common/model/stale_shift.h"

namespace cacheclip {
namespace {

at::ScalarType ElementType(KvDtype dtype) {
  switch (dtype) {
    case KvDtype::kFp32:
      return at::kFloat;
    case KvDtype::kInt8:
      return at::kChar;
    default:
      return at::kBFloat16;
  }
}

// A view. from_blob wants a mutable pointer; the cache only reads.
at::Tensor View(const void* data, at::IntArrayRef sizes, at::ScalarType dtype) {
  return at::from_blob(const_cast<void*>(data), sizes, at::TensorOptions().dtype(dtype));
}

void PlaceLayer(KvCache& cache, const EncodedChunk& chunk, int layer, int32_t first_slot,
                const RotationTable& rotation) {
  const int64_t tokens = chunk.num_tokens(), heads = chunk.shape().num_kv_heads, dim = chunk.shape().head_dim;
  const at::ScalarType dtype = ElementType(chunk.shape().dtype);
  const at::Tensor keys = View(chunk.Keys(layer).data(), {tokens, heads, dim}, dtype);
  const at::Tensor values = View(chunk.Values(layer).data(), {tokens, heads, dim}, dtype);
  if (chunk.shape().HasScales()) {
    cache.PlaceInt8(layer,
                    {.keys = keys,
                     .key_scales = View(chunk.KeyScales(layer).data(), {heads, dim}, at::kFloat),
                     .values = values,
                     .value_scales = View(chunk.ValueScales(layer).data(), {tokens, heads}, at::kFloat)},
                    first_slot, rotation);
  } else {
    cache.Place(layer, keys, values, first_slot, rotation);
  }
}

absl::Status CheckLocalHeads(const LocalHeads& local, const ModelConfig& config) {
  if (local.window < 1) return absl::InvalidArgumentError("local heads: the window holds no token");
  for (const HeadId& id : local.heads)
    if (id.layer < 0 || id.layer >= config.num_layers || id.head < 0 || id.head >= config.num_kv_heads)
      return absl::InvalidArgumentError(
          absl::StrCat("local heads: ", id.layer, ".", id.head, " is none of the model's key-value heads"));
  return absl::OkStatus();
}

std::vector<Logits> ToRows(const at::Tensor& logits) {
  const at::Tensor host = logits.cpu().contiguous();
  const float* data = host.const_data_ptr<float>();
  const int64_t columns = host.size(1);
  std::vector<Logits> rows;
  for (int64_t i = 0; i < host.size(0); ++i) rows.emplace_back(data + i * columns, data + (i + 1) * columns);
  return rows;
}

}  // namespace

InferenceSession::InferenceSession(std::shared_ptr<const LanguageModel> model, std::unique_ptr<KvCache> cache)
    : model_(std::move(model)), cache_(std::move(cache)) {}
InferenceSession::~InferenceSession() = default;

absl::StatusOr<std::unique_ptr<InferenceSession>> InferenceSession::Create(
    std::shared_ptr<const LanguageModel> model, int32_t capacity) {
  if (capacity <= 0 || capacity > model->config().max_positions)
    return absl::InvalidArgumentError(absl::StrCat(
        "a session of ", capacity, " tokens: the model's context length is ", model->config().max_positions));
  CACHECLIP_ASSIGN_OR_RETURN(std::unique_ptr<KvCache> cache, KvCache::Create(*model, capacity));
  return std::unique_ptr<InferenceSession>(new InferenceSession(std::move(model), std::move(cache)));
}

int64_t InferenceSession::CacheBytes(const LanguageModel& model, int32_t capacity) {
  return KvCache::Bytes(model, capacity);
}

int32_t InferenceSession::capacity() const { return cache_->capacity(); }

absl::Status InferenceSession::Place(const EncodedChunk& chunk, int32_t first_slot, int32_t first_position) {
  const ChunkPlace place{.chunk = &chunk, .first_slot = first_slot, .first_position = first_position};
  return PlaceLayers({&place, 1}, 0, model_->num_layers());
}

absl::Status InferenceSession::CheckPlace(const ChunkPlace& place, int first_layer, int last_layer) const {
  const ModelConfig& config = model_->config();
  const EncodedChunk& chunk = *place.chunk;
  const KvShape& shape = chunk.shape();
  if (shape.num_kv_heads != config.num_kv_heads || shape.head_dim != config.head_dim ||
      shape.num_layers < last_layer || first_layer < 0 || last_layer > model_->num_layers())
    return absl::InvalidArgumentError(absl::StrCat("chunk ", chunk.key().ToHex(), " has shape ",
                                                   shape.ToString(), ", which is not model ", model_->name(),
                                                   "'s"));
  if (place.first_slot < 0 || place.first_slot + chunk.num_tokens() > cache_->capacity())
    return absl::InvalidArgumentError(absl::StrCat("chunk of ", chunk.num_tokens(), " tokens at slot ",
                                                   place.first_slot, " exceeds the session's capacity ",
                                                   cache_->capacity()));
  return absl::OkStatus();
}

absl::Status InferenceSession::PlaceLayers(std::span<const ChunkPlace> places, int first_layer,
                                           int last_layer) {
  const c10::InferenceMode inference;
  std::vector<RotationTable> rotations;
  for (const ChunkPlace& place : places) {
    CACHECLIP_RETURN_IF_ERROR(CheckPlace(place, first_layer, last_layer));
    rotations.push_back(model_->tensors().rotations->Of(place.first_position,
                                                        static_cast<int32_t>(place.chunk->num_tokens())));
  }
  const auto place_all = [&](int64_t begin, int64_t end) {
    const c10::InferenceMode on_each_thread;
    for (size_t i = 0; i < places.size(); ++i)
      for (int layer = static_cast<int>(begin); layer < end && places[i].chunk->num_tokens() > 0; ++layer)
        PlaceLayer(*cache_, *places[i].chunk, layer, places[i].first_slot, rotations[i]);
  };
  // Waking the threads once for all layers: for each layer it would cost as much as the layer's copy.
  if (cache_->PlacesLayersSideBySide() && last_layer - first_layer >= at::get_num_threads()) {
    at::parallel_for(first_layer, last_layer, /*grain_size=*/1, place_all);
  } else {
    place_all(first_layer, last_layer);
  }
  return absl::OkStatus();
}

void InferenceSession::SetAttentionWeights(int32_t first_slot, std::span<const float> weights) {
  CACHECLIP_CHECK(first_slot >= 0 && weights.size() <= static_cast<size_t>(capacity() - first_slot) &&
                  std::ranges::all_of(weights, [](float weight) { return weight > 0; }))
      << weights.size() << " weights from slot " << first_slot;
  cache_->SetAttentionWeights(first_slot, weights);
}

absl::Status InferenceSession::CheckRows(const Rows& rows) const {
  if (rows.size() == 0 || rows.slots.size() != rows.ids.size() || rows.positions.size() != rows.ids.size())
    return absl::InvalidArgumentError("rows: empty, or ids, slots and positions differ in number");
  for (int32_t i = 0; i < rows.size(); ++i) {
    if (rows.ids[i] < 0 || rows.ids[i] >= model_->config().vocab_size)
      return absl::InvalidArgumentError(absl::StrCat("token id ", rows.ids[i], " is outside the vocabulary"));
    if (i > 0 && rows.slots[i] <= rows.slots[i - 1])
      return absl::InvalidArgumentError("row slots must ascend");
  }
  if (rows.slots.front() < 0 || rows.slots.back() >= cache_->capacity())
    return absl::InvalidArgumentError(
        absl::StrCat("slot ", rows.slots.back(), " exceeds the session's capacity ", cache_->capacity()));
  return absl::OkStatus();
}

absl::StatusOr<Logits> InferenceSession::Run(const Rows& rows, const CancellationToken& cancellation,
                                             const RunOptions& options) {
  CACHECLIP_RETURN_IF_ERROR(CheckRows(rows));
  const int32_t num_shallow = options.num_shallow_rows;
  const int last_layer = model_->num_layers();
  if (num_shallow < 0 || num_shallow >= rows.size() ||
      (num_shallow > 0 && (options.shallow_layers < 0 || options.shallow_layers > last_layer)))
    return absl::InvalidArgumentError(absl::StrCat(num_shallow, " of ", rows.size(), " rows through ",
                                                   options.shallow_layers, " of ", last_layer, " layers"));
  if (options.local_heads != nullptr)
    CACHECLIP_RETURN_IF_ERROR(CheckLocalHeads(*options.local_heads, model_->config()));
  const c10::InferenceMode inference;
  const ForwardHooks hooks{.before_layer = options.before_layer, .cancellation = cancellation};
  ForwardPass pass(model_->tensors(), model_->config(), *cache_, rows);
  if (options.int8_scores) pass.RoundScores();
  int first_layer = 0;
  if (num_shallow > 0) {
    first_layer = options.shallow_layers;
    if (options.local_heads != nullptr) pass.LeaveOutFar(*options.local_heads, num_shallow);
    ForwardHooks shallow_hooks = hooks;
    std::optional<StaleShift> shift;
    if (options.stale_shift > 0 && !options.stale_slots.empty()) {
      shift.emplace(
          model_->tensors(), *cache_,
          StaleShift::Options{.fresh = std::span(rows.slots).first(static_cast<size_t>(num_shallow)),
                              .stale = options.stale_slots,
                              .share = options.stale_shift});
      shallow_hooks.before_store = [&shift](int layer, const Projections& projections) {
        shift->MoveLayer(layer, projections);
        return absl::OkStatus();
      };
    }
    const int32_t num_left = first_layer == last_layer ? 1 : rows.size() - num_shallow;
    CACHECLIP_RETURN_IF_ERROR(pass.RunLayers(0, first_layer, num_left, shallow_hooks));
  }
  CACHECLIP_RETURN_IF_ERROR(pass.RunLayers(first_layer, last_layer, /*num_left=*/1, hooks));
  length_ = std::max(length_, rows.slots.back() + 1);
  return std::move(ToRows(pass.Logits())[0]);
}

absl::StatusOr<std::vector<Logits>> InferenceSession::RunAllLogits(const Rows& rows, int32_t first_row,
                                                                   const CancellationToken& cancellation) {
  CACHECLIP_RETURN_IF_ERROR(CheckRows(rows));
  if (first_row < 0 || first_row >= rows.size())
    return absl::InvalidArgumentError(absl::StrCat("first row ", first_row, " of ", rows.size()));
  const c10::InferenceMode inference;
  ForwardPass pass(model_->tensors(), model_->config(), *cache_, rows);
  CACHECLIP_RETURN_IF_ERROR(
      pass.RunLayers(0, model_->num_layers(), rows.size() - first_row, {.cancellation = cancellation}));
  length_ = std::max(length_, rows.slots.back() + 1);
  return ToRows(pass.Logits());
}

absl::StatusOr<Logits> InferenceSession::Decode(int32_t id, const CancellationToken& cancellation) {
  Rows row;
  row.Append(id, length_, length_);
  return Run(row, cancellation);
}

}  // namespace cacheclip
