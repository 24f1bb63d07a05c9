#include "common/model/kernels/attention_avx2.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "common/model/kernels/register_tile_avx2.h"

namespace cacheclip::avx2 {
namespace {

constexpr int kKeyTile = 128;    // keys whose weights are in memory at once
constexpr int kBlockLanes = 96;  // (row, head in group) pairs that share a transposed key tile
constexpr int kFewLanes = 12;    // up to so many the transposition would not pay
constexpr int kMinKeysPerPart = 256;
constexpr float kLog2E = 1.44269504f;
constexpr float kLowest = -1e30f;  // below every score; finite, so that differences stay numbers

int Group(const AttentionArguments& a) { return a.num_heads / a.num_kv_heads; }

// Elements from the start of queries or out to a lane's head: lane = row · group + head in group.
size_t LaneOffset(const AttentionArguments& a, int kv_head, int lane) {
  const int group = Group(a);
  return (static_cast<size_t>(lane / group) * a.num_heads + kv_head * group + lane % group) * a.head_dim;
}

size_t SlotOffset(const AttentionArguments& a, int kv_head, int slot) {
  return (static_cast<size_t>(kv_head) * a.capacity + slot) * a.head_dim;
}

// out[d · 16 + i] = rows[i · dim + d] for 8 rows; out's rows are 16 wide.
void TransposeEight(const float* rows, int dim, float* out) {
  for (int d = 0; d < dim; d += 8) {
    __m256 r[8], t[8];
    for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(rows + static_cast<size_t>(i) * dim + d);
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
      t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
      r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
      r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
      r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
      r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; ++i) {
      _mm256_storeu_ps(out + (d + i) * kTileColumns, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
      _mm256_storeu_ps(out + (d + i + 4) * kTileColumns, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
  }
}

float Highest(const float* scores, int count, float least) {
  __m256 highest = _mm256_set1_ps(least);
  for (int i = 0; i < count; i += 8) highest = _mm256_max_ps(highest, _mm256_loadu_ps(scores + i));
  return MaxOf(highest);
}

// Scores in base 2 become weights against `top`, in place; returns their sum. Where nothing is seen, so that
// `top` is kLowest too, nothing is added.
float ToWeightsAgainst(float top, float* scores, int count) {
  const __m256 base = _mm256_set1_ps(std::max(top, kLowest / 2));
  __m256 sum = _mm256_setzero_ps();
  for (int i = 0; i < count; i += 8) {
    const __m256 score = _mm256_sub_ps(_mm256_loadu_ps(scores + i), base);
    const __m256 seen = _mm256_cmp_ps(score, _mm256_set1_ps(-126.0f), _CMP_GE_OQ);
    const __m256 weight = _mm256_and_ps(seen, Exp2(score));
    sum = _mm256_add_ps(sum, weight);
    _mm256_storeu_ps(scores + i, weight);
  }
  return SumOf(sum);
}

// Many lanes (prefill): tiles of keys are transposed, so that keys, then components, lie in SIMD lanes and
// both products are the same register tile; softmax runs online, a lane at a time. One object per thread.
class Block {
 public:
  void Run(const AttentionArguments& a, int kv_head, int first_lane, int num_lanes) {
    Begin(a, kv_head, first_lane, num_lanes);
    const int end = limits_.back() + 1;
    for (int key = 0; key < end; key += kKeyTile) AddTile(a, kv_head, key, std::min(kKeyTile, end - key));
    for (int lane = 0; lane < num_lanes; ++lane) {
      const __m256 inverse = _mm256_set1_ps(1 / sum_[lane]);
      float* out = a.out + LaneOffset(a, kv_head, first_lane + lane);
      for (int d = 0; d < a.head_dim; d += 8)
        _mm256_storeu_ps(out + d, _mm256_mul_ps(inverse, _mm256_loadu_ps(Out(lane) + d)));
    }
  }

 private:
  // Idle lanes of the last register tile repeat the last lane.
  void Begin(const AttentionArguments& a, int kv_head, int first_lane, int num_lanes) {
    dim_ = a.head_dim;
    lanes_ = (num_lanes + kTileRows - 1) / kTileRows * kTileRows;
    const size_t elements = static_cast<size_t>(lanes_) * dim_;
    queries_.resize(elements);
    out_.assign(elements, 0.0f);
    weights_.resize(static_cast<size_t>(lanes_) * kKeyTile);
    keys_.resize(static_cast<size_t>(kKeyTile) * dim_);
    max_.assign(lanes_, kLowest);
    sum_.assign(lanes_, 0.0f);
    limits_.resize(lanes_);
    for (int i = 0; i < lanes_; ++i) {
      const int lane = first_lane + std::min(i, num_lanes - 1);
      limits_[i] = a.limits[lane / Group(a)];
      const float* query = a.queries + LaneOffset(a, kv_head, lane);
      const float factor = a.scale * kLog2E;  // softmax in base 2
      for (int d = 0; d < dim_; ++d) queries_[static_cast<size_t>(i) * dim_ + d] = query[d] * factor;
    }
  }

  void AddTile(const AttentionArguments& a, int kv_head, int key, int num_keys) {
    const float* keys = a.keys + SlotOffset(a, kv_head, key);
    const float* values = a.values + SlotOffset(a, kv_head, key);
    const int columns = (num_keys + kTileColumns - 1) / kTileColumns * kTileColumns;
    TransposeKeys(keys, num_keys);
    float bias[kKeyTile];
    for (int i = 0; i < columns; ++i) bias[i] = i < num_keys ? a.slot_bias[key + i] * kLog2E : kLowest;
    for (int lane = 0; lane < lanes_; ++lane) std::copy_n(bias, columns, Weights(lane));
    for (int column = 0; column < columns; column += kTileColumns)
      for (int lane = 0; lane < lanes_; lane += kTileRows)
        Multiply<kTileRows>(Query(lane), dim_, 1, &keys_[static_cast<size_t>(column) * dim_], kTileColumns,
                            dim_, Weights(lane) + column, kKeyTile);
    for (int lane = 0; lane < lanes_; ++lane) ToWeights(lane, limits_[lane] - key + 1, columns);
    for (int d = 0; d < dim_; d += kTileColumns)
      for (int lane = 0; lane < lanes_; lane += kTileRows)
        Multiply<kTileRows>(Weights(lane), kKeyTile, 1, values + d, dim_, num_keys, Out(lane) + d, dim_);
  }

  // Groups of 16 keys, each [dim, 16]; what lies behind the last key keeps numbers of no meaning.
  void TransposeKeys(const float* keys, int num_keys) {
    for (int key = 0; key < num_keys; key += 8) {
      float* out = &keys_[static_cast<size_t>(key / kTileColumns) * kTileColumns * dim_ + key % kTileColumns];
      if (key + 8 <= num_keys) {
        TransposeEight(keys + static_cast<size_t>(key) * dim_, dim_, out);
      } else {
        for (int i = 0; i < num_keys - key; ++i)
          for (int d = 0; d < dim_; ++d)
            out[d * kTileColumns + i] = keys[static_cast<size_t>(key + i) * dim_ + d];
      }
    }
  }

  // Scores of a lane become weights against its running maximum; only the first `visible` count.
  void ToWeights(int lane, int visible, int columns) {
    float* weights = Weights(lane);
    for (int i = std::max(visible, 0); i < columns; ++i) weights[i] = kLowest;
    const float top = Highest(weights, columns, max_[lane]);
    if (top > max_[lane]) {
      const __m256 fade = Exp2(_mm256_set1_ps(std::max(max_[lane] - top, -126.0f)));
      for (int d = 0; d < dim_; d += 8)
        _mm256_storeu_ps(Out(lane) + d, _mm256_mul_ps(fade, _mm256_loadu_ps(Out(lane) + d)));
      sum_[lane] *= _mm256_cvtss_f32(fade);
      max_[lane] = top;
    }
    sum_[lane] += ToWeightsAgainst(max_[lane], weights, columns);
  }

  float* Query(int lane) { return &queries_[static_cast<size_t>(lane) * dim_]; }
  float* Out(int lane) { return &out_[static_cast<size_t>(lane) * dim_]; }
  float* Weights(int lane) { return &weights_[static_cast<size_t>(lane) * kKeyTile]; }

  int dim_ = 0, lanes_ = 0;
  std::vector<float> queries_, out_;  // [lanes, dim]
  std::vector<float> weights_;        // [lanes, kKeyTile]
  std::vector<float> keys_;           // [kKeyTile / 16, dim, 16]
  std::vector<float> max_, sum_;      // [lanes], of scores in base 2 and of weights
  std::vector<int32_t> limits_;       // [lanes]
};

void RunBlocks(const AttentionArguments& a) {
  const int lanes = a.num_rows * Group(a), blocks = (lanes + kBlockLanes - 1) / kBlockLanes;
#pragma omp parallel num_threads(a.num_threads)
  {
    static thread_local Block block;
#pragma omp for schedule(dynamic, 1)
    for (int item = 0; item < blocks * a.num_kv_heads; ++item) {
      const int first_lane = (blocks - 1 - item / a.num_kv_heads) * kBlockLanes;  // most keys first
      block.Run(a, item % a.num_kv_heads, first_lane, std::min(kBlockLanes, lanes - first_lane));
    }
  }
}

// A few lanes (decode): keys are read as they lie, and cut in parts so that every thread has some. What a
// part leaves of a kv head's lanes.
struct Part {
  float max[kFewLanes], sum[kFewLanes];  // of scores in base 2, of weights against that maximum
  float* out;                            // [lanes, dim], weighted by the same
};

// Lane i holds the sum of rows[i].
__m256 SumsOf(const __m256 (&rows)[8]) {
  const __m256 low = _mm256_hadd_ps(_mm256_hadd_ps(rows[0], rows[1]), _mm256_hadd_ps(rows[2], rows[3]));
  const __m256 high = _mm256_hadd_ps(_mm256_hadd_ps(rows[4], rows[5]), _mm256_hadd_ps(rows[6], rows[7]));
  return _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}

// scores[0..8) of eight neighbouring keys.
__m256 ScoreEight(const float* query, const float* keys, int dim) {
  __m256 sums[8] = {};
  for (int d = 0; d < dim; d += 8) {
    const __m256 q = _mm256_loadu_ps(query + d);
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i)
      sums[i] = _mm256_fmadd_ps(q, _mm256_loadu_ps(keys + static_cast<size_t>(i) * dim + d), sums[i]);
  }
  return SumsOf(sums);
}

float ScoreOne(const float* query, const float* key, int dim) {
  __m256 sum = _mm256_setzero_ps();
  for (int d = 0; d < dim; d += 8)
    sum = _mm256_fmadd_ps(_mm256_loadu_ps(query + d), _mm256_loadu_ps(key + d), sum);
  return SumOf(sum);
}

// Scores of keys begin … end - 1 become weights, in place; keys that a lane does not see weigh nothing.
void WeighKeys(const AttentionArguments& a, int kv_head, int begin, int end, size_t stride, float* weights,
               Part& part) {
  const int group = Group(a), lanes = a.num_rows * group, dim = a.head_dim;
  const __m256 scale = _mm256_set1_ps(a.scale * kLog2E), base = _mm256_set1_ps(kLog2E);
  for (int key = begin; key < end; key += 8) {
    const float* const keys = a.keys + SlotOffset(a, kv_head, key);
    for (int lane = 0; lane < lanes; ++lane) {
      const float* const query = a.queries + LaneOffset(a, kv_head, lane);
      float* const scores = weights + static_cast<size_t>(lane) * stride + (key - begin);
      if (key + 8 <= end) {
        _mm256_storeu_ps(scores, _mm256_fmadd_ps(_mm256_loadu_ps(a.slot_bias + key), base,
                                                 _mm256_mul_ps(scale, ScoreEight(query, keys, dim))));
      } else {
        for (int i = 0; i < end - key; ++i)
          scores[i] =
              (ScoreOne(query, keys + static_cast<size_t>(i) * dim, dim) * a.scale + a.slot_bias[key + i]) *
              kLog2E;
      }
    }
  }
  for (int lane = 0; lane < lanes; ++lane) {
    float* const scores = weights + static_cast<size_t>(lane) * stride;
    const int visible = std::clamp(a.limits[lane / group] + 1 - begin, 0, end - begin);
    std::fill(scores + visible, scores + stride, kLowest);
    part.max[lane] = Highest(scores, static_cast<int>(stride), kLowest);
    part.sum[lane] = ToWeightsAgainst(part.max[lane], scores, static_cast<int>(stride));
  }
}

void RunPart(const AttentionArguments& a, int kv_head, int begin, int end, Part& part) {
  const int lanes = a.num_rows * Group(a), dim = a.head_dim;
  const size_t stride = (static_cast<size_t>(end - begin) + 7) / 8 * 8;
  static thread_local std::vector<float> weights;  // [lanes, stride]
  weights.resize(static_cast<size_t>(lanes) * stride);
  WeighKeys(a, kv_head, begin, end, stride, weights.data(), part);
  std::fill_n(part.out, static_cast<size_t>(lanes) * dim, 0.0f);
  const float* const values = a.values + SlotOffset(a, kv_head, begin);
  for (int d = 0; d < dim; d += kTileColumns)
    for (int lane = 0; lane < lanes; lane += kTileRows)
      MultiplyRows(std::min(kTileRows, lanes - lane), &weights[static_cast<size_t>(lane) * stride], stride,
                   values + d, static_cast<size_t>(dim), end - begin,
                   part.out + static_cast<size_t>(lane) * dim + d, static_cast<size_t>(dim));
}

void MergeParts(const AttentionArguments& a, int kv_head, const Part* parts, int num_parts) {
  for (int lane = 0; lane < a.num_rows * Group(a); ++lane) {
    float top = kLowest, sum = 0;
    for (int p = 0; p < num_parts; ++p) top = std::max(top, parts[p].max[lane]);
    float* out = a.out + LaneOffset(a, kv_head, lane);
    std::fill_n(out, a.head_dim, 0.0f);
    for (int p = 0; p < num_parts; ++p) {
      const float factor = __builtin_exp2f(parts[p].max[lane] - top);
      sum += factor * parts[p].sum[lane];
      for (int d = 0; d < a.head_dim; ++d)
        out[d] += factor * parts[p].out[static_cast<size_t>(lane) * a.head_dim + d];
    }
    for (int d = 0; d < a.head_dim; ++d) out[d] /= sum;
  }
}

void RunFewLanes(const AttentionArguments& a) {
  const int keys = a.limits[a.num_rows - 1] + 1;
  const int wanted = (2 * a.num_threads + a.num_kv_heads - 1) / a.num_kv_heads;
  const int num_parts = std::clamp(keys / kMinKeysPerPart, 1, wanted);
  const int keys_per_part = (keys + num_parts - 1) / num_parts;
  const size_t part_elements = static_cast<size_t>(a.num_rows) * Group(a) * a.head_dim;
  static thread_local std::vector<Part> parts;
  static thread_local std::vector<float> outs;
  parts.resize(static_cast<size_t>(a.num_kv_heads) * num_parts);
  outs.resize(parts.size() * part_elements);
  Part* const all = parts.data();  // of this thread, for those that help
  for (size_t i = 0; i < parts.size(); ++i) all[i].out = &outs[i * part_elements];
#pragma omp parallel for num_threads(a.num_threads) schedule(dynamic, 1)
  for (int item = 0; item < a.num_kv_heads * num_parts; ++item) {
    const int begin = item % num_parts * keys_per_part;
    RunPart(a, item / num_parts, begin, std::min(keys, begin + keys_per_part), all[item]);
  }
  for (int head = 0; head < a.num_kv_heads; ++head)
    MergeParts(a, head, all + static_cast<size_t>(head) * num_parts, num_parts);
}

}  // namespace

void Attention(const AttentionArguments& a) {
  if (a.num_rows * Group(a) <= kFewLanes)
    RunFewLanes(a);
  else
    RunBlocks(a);
}

}  // namespace cacheclip::avx2
