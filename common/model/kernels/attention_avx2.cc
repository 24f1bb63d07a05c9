#include "common/model/kernels/attention_avx2.h"

#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace cacheclip::avx2 {
namespace {

constexpr int kTileRows = 6, kTileColumns = 16;  // of a register tile: 12 accumulators
constexpr int kKeyTile = 128;                    // keys whose weights are in memory at once
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

float SumOf(__m256 x) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

float MaxOf(__m256 x) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

// 2^x for x <= 0, relative error 3e-7; 0 far below.
__m256 Exp2(__m256 x) {
  x = _mm256_max_ps(x, _mm256_set1_ps(-126.0f));
  const __m256 whole = _mm256_floor_ps(x), part = _mm256_sub_ps(x, whole);
  __m256 p = _mm256_set1_ps(1.8775767e-3f);
  p = _mm256_fmadd_ps(p, part, _mm256_set1_ps(8.9893397e-3f));
  p = _mm256_fmadd_ps(p, part, _mm256_set1_ps(5.5826318e-2f));
  p = _mm256_fmadd_ps(p, part, _mm256_set1_ps(2.4015361e-1f));
  p = _mm256_fmadd_ps(p, part, _mm256_set1_ps(6.9315308e-1f));
  p = _mm256_fmadd_ps(p, part, _mm256_set1_ps(9.9999994e-1f));
  const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(whole), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
}

// c[r][0..16] += Σ_k a[r · a_stride + k] · b[k · b_stride + 0..16] for kTileRows rows.
void Multiply(const float* a, size_t a_stride, const float* b, size_t b_stride, int steps, float* c,
              size_t c_stride) {
  __m256 sums[kTileRows][2];
#pragma GCC unroll 6
  for (int r = 0; r < kTileRows; ++r) {
    sums[r][0] = _mm256_loadu_ps(c + r * c_stride);
    sums[r][1] = _mm256_loadu_ps(c + r * c_stride + 8);
  }
  for (int k = 0; k < steps; ++k, b += b_stride) {
    const __m256 low = _mm256_loadu_ps(b), high = _mm256_loadu_ps(b + 8);
#pragma GCC unroll 6
    for (int r = 0; r < kTileRows; ++r) {
      const __m256 factor = _mm256_broadcast_ss(a + r * a_stride + k);
      sums[r][0] = _mm256_fmadd_ps(factor, low, sums[r][0]);
      sums[r][1] = _mm256_fmadd_ps(factor, high, sums[r][1]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kTileRows; ++r) {
    _mm256_storeu_ps(c + r * c_stride, sums[r][0]);
    _mm256_storeu_ps(c + r * c_stride + 8, sums[r][1]);
  }
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
        Multiply(Query(lane), dim_, &keys_[static_cast<size_t>(column) * dim_], kTileColumns, dim_,
                 Weights(lane) + column, kKeyTile);
    for (int lane = 0; lane < lanes_; ++lane) ToWeights(lane, limits_[lane] - key + 1, columns);
    for (int d = 0; d < dim_; d += kTileColumns)
      for (int lane = 0; lane < lanes_; lane += kTileRows)
        Multiply(Weights(lane), kKeyTile, values + d, dim_, num_keys, Out(lane) + d, dim_);
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
    __m256 highest = _mm256_set1_ps(max_[lane]);
    for (int i = 0; i < columns; i += 8) highest = _mm256_max_ps(highest, _mm256_loadu_ps(weights + i));
    const float top = MaxOf(highest);
    if (top > max_[lane]) {
      const __m256 fade = Exp2(_mm256_set1_ps(std::max(max_[lane] - top, -126.0f)));
      for (int d = 0; d < dim_; d += 8)
        _mm256_storeu_ps(Out(lane) + d, _mm256_mul_ps(fade, _mm256_loadu_ps(Out(lane) + d)));
      sum_[lane] *= _mm256_cvtss_f32(fade);
      max_[lane] = top;
    }
    // A lane that sees nothing of this tile must add nothing.
    const __m256 base = _mm256_set1_ps(std::max(max_[lane], kLowest / 2));
    __m256 sum = _mm256_setzero_ps();
    for (int i = 0; i < columns; i += 8) {
      const __m256 score = _mm256_sub_ps(_mm256_loadu_ps(weights + i), base);
      const __m256 seen = _mm256_cmp_ps(score, _mm256_set1_ps(-126.0f), _CMP_GE_OQ);
      const __m256 weight = _mm256_and_ps(seen, Exp2(score));
      sum = _mm256_add_ps(sum, weight);
      _mm256_storeu_ps(weights + i, weight);
    }
    sum_[lane] += SumOf(sum);
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

// A few lanes (decode): keys are read as they lie, and cut in parts so that every thread has some.
struct Part {
  float max[kFewLanes], sum[kFewLanes];
  std::vector<float> out;  // [lanes, dim]
};

void RunPart(const AttentionArguments& a, int kv_head, int begin, int end, Part& part) {
  const int group = Group(a), lanes = a.num_rows * group, dim = a.head_dim;
  part.out.assign(static_cast<size_t>(lanes) * dim, 0.0f);
  std::vector<float> scores(static_cast<size_t>(end - begin) + 8);
  for (int lane = 0; lane < lanes; ++lane) {
    const float* query = a.queries + LaneOffset(a, kv_head, lane);
    const int visible = std::min(end, a.limits[lane / group] + 1);
    part.max[lane] = kLowest, part.sum[lane] = 0;
    for (int key = begin; key < visible; ++key) {
      const float* row = a.keys + SlotOffset(a, kv_head, key);
      __m256 low = _mm256_setzero_ps(), high = _mm256_setzero_ps();
      for (int d = 0; d < dim; d += 16) {
        low = _mm256_fmadd_ps(_mm256_loadu_ps(query + d), _mm256_loadu_ps(row + d), low);
        high = _mm256_fmadd_ps(_mm256_loadu_ps(query + d + 8), _mm256_loadu_ps(row + d + 8), high);
      }
      const float score = (SumOf(_mm256_add_ps(low, high)) * a.scale + a.slot_bias[key]) * kLog2E;
      scores[static_cast<size_t>(key - begin)] = score;
      part.max[lane] = std::max(part.max[lane], score);
    }
    std::fill_n(scores.begin() + std::max(visible - begin, 0), 8, kLowest);
    float* out = &part.out[static_cast<size_t>(lane) * dim];
    for (int key = begin; key < visible; key += 8) {
      const __m256 weight = Exp2(_mm256_sub_ps(_mm256_loadu_ps(&scores[static_cast<size_t>(key - begin)]),
                                               _mm256_set1_ps(part.max[lane])));
      float weights[8];
      _mm256_storeu_ps(weights, weight);
      for (int i = 0; i < std::min(8, visible - key); ++i) {
        part.sum[lane] += weights[i];
        const float* row = a.values + SlotOffset(a, kv_head, key + i);
        const __m256 factor = _mm256_set1_ps(weights[i]);
        for (int d = 0; d < dim; d += 8)
          _mm256_storeu_ps(out + d,
                           _mm256_fmadd_ps(factor, _mm256_loadu_ps(row + d), _mm256_loadu_ps(out + d)));
      }
    }
  }
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
  std::vector<Part> parts(static_cast<size_t>(a.num_kv_heads) * num_parts);
#pragma omp parallel for num_threads(a.num_threads) schedule(dynamic, 1)
  for (int item = 0; item < a.num_kv_heads * num_parts; ++item) {
    const int begin = item % num_parts * keys_per_part;
    RunPart(a, item / num_parts, begin, std::min(keys, begin + keys_per_part),
            parts[static_cast<size_t>(item)]);
  }
  for (int head = 0; head < a.num_kv_heads; ++head)
    MergeParts(a, head, &parts[static_cast<size_t>(head) * num_parts], num_parts);
}

}  // namespace

void Attention(const AttentionArguments& a) {
  if (a.num_rows * Group(a) <= kFewLanes)
    RunFewLanes(a);
  else
    RunBlocks(a);
}

}  // namespace cacheclip::avx2
