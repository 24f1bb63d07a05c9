#include "common/model/kernels/linear_avx2.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "common/model/kernels/register_tile_avx2.h"

namespace cacheclip::avx2 {
namespace {

constexpr int64_t kMaxBlockRows = 96;       // rows of x that share a widened panel
constexpr int64_t kBlockBytes = 320 << 10;  // of those rows, packed: they stay in the second-level cache
constexpr int64_t kMinBlockRows = 48;       // fewer only where rows end or kBlockBytes are reached
constexpr int64_t kInputBlock = 320;        // inputs of a widened panel, which stays in the first-level cache
constexpr int64_t kFewRows = 4;             // up to so many a panel is streamed instead of widened
constexpr int kMaxInput = 8191;  // of rounded rows of x; less where the sum of products could overflow

static_assert(kPanelOutputs == kTileColumns);

// Rows of x become integers, x ≈ scale · rounded, limited so that no sum of products overflows.
float RoundingLimit(int64_t inputs) {
  return static_cast<float>(std::min<int64_t>(kMaxInput, INT32_MAX / (2 * Pairs(inputs) * kMaxWeight)));
}

// `out`: [2 · pairs], zero behind the inputs. Returns the scale.
float RoundRow(const float* x, int64_t inputs, int16_t* out) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  __m256 largest = _mm256_setzero_ps();
  int64_t k = 0;
  for (; k + 8 <= inputs; k += 8)
    largest = _mm256_max_ps(largest, _mm256_and_ps(magnitude, _mm256_loadu_ps(x + k)));
  float top = MaxOf(largest);
  for (; k < inputs; ++k) top = std::max(top, std::fabs(x[k]));
  const float scale = top > 0 ? top / RoundingLimit(inputs) : 1.0f;
  const __m256 inverse = _mm256_set1_ps(1 / scale);
  for (k = 0; k + 8 <= inputs; k += 8) {
    const __m256i whole = _mm256_cvtps_epi32(_mm256_mul_ps(inverse, _mm256_loadu_ps(x + k)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + k),
                     _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1)));
  }
  for (; k < inputs; ++k) out[k] = static_cast<int16_t>(std::lrint(x[k] / scale));
  if (inputs % 2 == 1) out[inputs] = 0;
  return scale;
}

// Integer sums [rows, 16] become products.
void Scale(const PackedWeights& packed, int64_t panel, const float* row_scales, int64_t rows,
           float* products) {
  const float* const scales = packed.scales + panel * kPanelOutputs;
  const __m256 low = _mm256_loadu_ps(scales), high = _mm256_loadu_ps(scales + 8);
  for (int64_t r = 0; r < rows; ++r, products += kPanelOutputs) {
    const __m256 factor = _mm256_set1_ps(row_scales[r]);
    const __m256i* const sums = reinterpret_cast<const __m256i*>(products);
    const __m256 first = _mm256_cvtepi32_ps(_mm256_loadu_si256(sums));
    const __m256 second = _mm256_cvtepi32_ps(_mm256_loadu_si256(sums + 1));
    _mm256_storeu_ps(products, _mm256_mul_ps(first, _mm256_mul_ps(factor, low)));
    _mm256_storeu_ps(products + 8, _mm256_mul_ps(second, _mm256_mul_ps(factor, high)));
  }
}

// Writes what `rows` rows have of one panel, `products` [rows, 16].
void Finish(const LinearArguments& a, int64_t panel, int64_t first_row, int64_t rows, const float* products) {
  const bool glu = a.epilogue == Epilogue::kSwiGlu;
  const int64_t width = glu ? kPanelOutputs / 2 : kPanelOutputs;
  const int64_t column = panel * width, columns = std::min(width, a.outputs - column);
  for (int64_t r = 0; r < rows; ++r, products += kPanelOutputs) {
    float* const out = a.out + (first_row + r) * a.out_stride + column;
    __m256 low = _mm256_loadu_ps(products), high = _mm256_loadu_ps(products + 8);
    if (glu) low = _mm256_mul_ps(Silu(low), high);
    if (columns == width && a.bias == nullptr) {
      if (a.epilogue == Epilogue::kAdd) {
        low = _mm256_add_ps(low, _mm256_loadu_ps(out));
        high = _mm256_add_ps(high, _mm256_loadu_ps(out + 8));
      }
      _mm256_storeu_ps(out, low);
      if (!glu) _mm256_storeu_ps(out + 8, high);
      continue;
    }
    float values[kPanelOutputs];
    _mm256_storeu_ps(values, low);
    _mm256_storeu_ps(values + 8, high);
    for (int64_t c = 0; c < columns; ++c) {
      const float y = values[c] + (a.bias != nullptr ? a.bias[column + c] : 0.0f);
      out[c] = a.epilogue == Epilogue::kAdd ? out[c] + y : y;
    }
  }
}

int64_t Tiles(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }

// `total` in equal parts of at most `most`: the length of one.
int64_t EvenPart(int64_t total, int64_t most) {
  const int64_t parts = (total + most - 1) / most;
  return (total + parts - 1) / parts;
}

constexpr int64_t kCacheLine = 64;

// Weights that are widened next, fetched in equal shares beside the tiles of `rows` rows, so that widening
// does not wait for memory. Behind the last panel this names memory that is not there, which does no harm.
class Ahead {
 public:
  Ahead(const PackedWeights& packed, int64_t panel, int64_t first_input, int64_t inputs, int64_t rows) {
    const int64_t input_bytes = ElementBytes(packed.element) * kPanelOutputs;
    const int64_t tiles = Tiles(rows), lines = inputs * input_bytes / kCacheLine;
    next_ = reinterpret_cast<const char*>(Panel(packed, panel)) + first_input * input_bytes;
    share_ = (lines + tiles - 1) / tiles;
  }

  void Fetch() {
    for (int64_t line = 0; line < share_; ++line, next_ += kCacheLine) _mm_prefetch(next_, _MM_HINT_T1);
  }

 private:
  const char* next_;
  int64_t share_;
};

// A block of rows against panels, one object per thread.
class Block {
 public:
  // Packs the rows as register tiles read them.
  void Begin(const LinearArguments& a, int64_t first_row, int64_t rows) {
    first_row_ = first_row, rows_ = rows;
    products_.resize(static_cast<size_t>((rows + kTileRows) * kPanelOutputs));
    if (a.weights.element == Element::kInt8)
      PackRounded(a);
    else
      PackRows(a);
  }

  void Run(const LinearArguments& a, int64_t panel) {
    std::ranges::fill(products_, 0.0f);
    if (a.weights.element == Element::kInt8)
      MultiplyRounded(a.weights, panel);
    else
      MultiplyRows(a.weights, panel);
    Finish(a, panel, first_row_, rows_, products_.data());
  }

 private:
  // Idle rows of the last tile repeat the last row.
  const float* Row(const LinearArguments& a, int64_t row) const {
    return a.x + (first_row_ + std::min(row, rows_ - 1)) * a.x_stride;
  }

  void PackRows(const LinearArguments& a) {
    const int64_t inputs = a.weights.inputs, tiles = Tiles(rows_);
    x_.resize(static_cast<size_t>(tiles * kTileRows * inputs));
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const float* rows[kTileRows];
      for (int64_t r = 0; r < kTileRows; ++r) rows[r] = Row(a, tile * kTileRows + r);
      float* to = &x_[static_cast<size_t>(tile * kTileRows * inputs)];
      for (int64_t k = 0; k < inputs; ++k)
        for (const float* row : rows) *to++ = row[k];
    }
  }

  void PackRounded(const LinearArguments& a) {
    const int64_t pairs = Pairs(a.weights.inputs), tiles = Tiles(rows_);
    rounded_.resize(static_cast<size_t>(tiles * kTileRows * pairs * 2));
    tile_.resize(static_cast<size_t>(kTileRows * pairs * 2));
    scales_.resize(static_cast<size_t>(tiles * kTileRows));
    for (int64_t tile = 0; tile < tiles; ++tile) {
      for (int64_t r = 0; r < kTileRows; ++r)
        scales_[static_cast<size_t>(tile * kTileRows + r)] = RoundRow(
            Row(a, tile * kTileRows + r), a.weights.inputs, &tile_[static_cast<size_t>(r * pairs * 2)]);
      int16_t* to = &rounded_[static_cast<size_t>(tile * kTileRows * pairs * 2)];
      for (int64_t p = 0; p < pairs; ++p)
        for (int64_t r = 0; r < kTileRows; ++r, to += 2)
          std::memcpy(to, &tile_[static_cast<size_t>((r * pairs + p) * 2)], 2 * sizeof(int16_t));
    }
  }

  void MultiplyRows(const PackedWeights& packed, int64_t panel) {
    const int64_t block = EvenPart(packed.inputs, kInputBlock);
    for (int64_t k = 0; k < packed.inputs; k += block) {
      const int64_t inputs = std::min(block, packed.inputs - k);
      const float* const b = Widened(packed, panel, k, inputs);
      Ahead ahead(packed, panel, k + inputs, inputs, rows_);
      for (int64_t row = 0; row < rows_; row += kTileRows) {
        ahead.Fetch();
        Multiply<kTileRows>(&x_[static_cast<size_t>(row * packed.inputs + k * kTileRows)], 1, kTileRows, b,
                            kPanelOutputs, inputs, &products_[static_cast<size_t>(row * kPanelOutputs)],
                            kPanelOutputs);
      }
    }
  }

  void MultiplyRounded(const PackedWeights& packed, int64_t panel) {
    const int64_t all_pairs = Pairs(packed.inputs), block = EvenPart(all_pairs, kInputBlock);
    int32_t* const sums = reinterpret_cast<int32_t*>(products_.data());
    for (int64_t p = 0; p < all_pairs; p += block) {
      const int64_t pairs = std::min(block, all_pairs - p);
      const int16_t* const b = WidenedPairs(packed, panel, p, pairs);
      Ahead ahead(packed, panel, 2 * (p + pairs), 2 * pairs, rows_);
      for (int64_t row = 0; row < rows_; row += kTileRows) {
        ahead.Fetch();
        MultiplyPairs(&rounded_[static_cast<size_t>((row * all_pairs + p * kTileRows) * 2)], b, pairs,
                      sums + row * kPanelOutputs);
      }
    }
    Scale(packed, panel, scales_.data(), rows_, products_.data());
  }

  // fp32 weights are used as they lie.
  const float* Widened(const PackedWeights& packed, int64_t panel, int64_t first_input, int64_t inputs) {
    const int64_t first = first_input * kPanelOutputs;
    if (packed.element == Element::kFp32) return reinterpret_cast<const float*>(Panel(packed, panel)) + first;
    const uint16_t* const from = reinterpret_cast<const uint16_t*>(Panel(packed, panel)) + first;
    for (int64_t i = 0; i < inputs * kPanelOutputs; i += 8)
      _mm256_store_ps(widened_ + i, WidenBf16(from + i));
    return widened_;
  }

  const int16_t* WidenedPairs(const PackedWeights& packed, int64_t panel, int64_t first_pair, int64_t pairs) {
    const std::byte* const from = Panel(packed, panel) + first_pair * 2 * kPanelOutputs;
    int16_t* const widened = reinterpret_cast<int16_t*>(widened_);
    for (int64_t i = 0; i < pairs * 2 * kPanelOutputs; i += 16)
      _mm256_store_si256(reinterpret_cast<__m256i*>(widened + i),
                         _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(from + i))));
    return widened;
  }

  int64_t first_row_ = 0, rows_ = 0;
  std::vector<float> x_;          // [tiles, inputs, kTileRows]
  std::vector<int16_t> rounded_;  // [tiles, pairs, kTileRows, 2]
  std::vector<int16_t> tile_;     // [kTileRows, pairs, 2], before it is packed
  std::vector<float> scales_;     // [rows] of rounded_
  std::vector<float> products_;   // [rows, 16]
  alignas(32) float widened_[kInputBlock * kPanelOutputs];
};

// Where blocks begin, in whole tiles: as large as caches allow at first, smaller towards the end, so that
// threads of unlike speed end together. The last entry is the number of tiles. Of the calling thread, until
// its next call.
const std::vector<int64_t>& BlockBegins(const LinearArguments& a) {
  static thread_local std::vector<int64_t> begins;
  const int64_t tiles = Tiles(a.rows);
  const int64_t most_rows =
      std::clamp<int64_t>(kBlockBytes / (4 * a.weights.inputs), 4 * kTileRows, kMaxBlockRows);
  const int64_t most = most_rows / kTileRows, least = std::min(most, kMinBlockRows / kTileRows);
  begins.assign(1, 0);
  const auto take = [&](int64_t left) { return std::clamp(left / (2 * a.num_threads), least, most); };
  if (tiles > most)
    for (int64_t tile = take(tiles); tile < tiles; tile += take(tiles - tile)) begins.push_back(tile);
  begins.push_back(tiles);
  return begins;
}

void RunBlocks(const LinearArguments& a) {
  const std::vector<int64_t>& begins = BlockBegins(a);
  const int64_t blocks = static_cast<int64_t>(begins.size()) - 1;
  const int64_t parts = blocks < a.num_threads ? a.num_threads : 1;  // of the panels
#pragma omp parallel num_threads(a.num_threads)
  {
    // On the heap: a thread_local of this size would be taken from the stack of every thread of the process.
    static thread_local const auto block = std::make_unique<Block>();
#pragma omp for schedule(dynamic, 1)
    for (int64_t task = 0; task < blocks * parts; ++task) {
      const size_t index = static_cast<size_t>(task / parts);
      const int64_t first_row = begins[index] * kTileRows;
      block->Begin(a, first_row, std::min(begins[index + 1] * kTileRows, a.rows) - first_row);
      const int64_t part = task % parts, panels = a.weights.num_panels;
      for (int64_t panel = part * panels / parts; panel < (part + 1) * panels / parts; ++panel)
        block->Run(a, panel);
    }
  }
}

// Rows that are too few for a block.
struct RoundedRows {
  std::vector<int16_t> values;  // [rows, stride]
  float scales[kFewRows];
  int64_t stride = 0;
};

// Of the calling thread, until its next call: decode allocates nothing.
const RoundedRows& Round(const LinearArguments& a) {
  static thread_local RoundedRows rounded;
  rounded.stride = 2 * Pairs(a.weights.inputs);
  rounded.values.resize(static_cast<size_t>(a.rows * rounded.stride));
  for (int64_t row = 0; row < a.rows; ++row)
    rounded.scales[row] = RoundRow(a.x + row * a.x_stride, a.weights.inputs,
                                   &rounded.values[static_cast<size_t>(row * rounded.stride)]);
  return rounded;
}

// The hardware's own prefetching starts anew at every page of 4 KiB. At the end of the last panel this names
// memory that is not there, which does no harm.
void Prefetch(const void* weights) {
  constexpr int kAhead = 1024;
  _mm_prefetch(static_cast<const char*>(weights) + kAhead, _MM_HINT_T0);
}

// A panel against kRows rows, each weight read once. Steps alternate between accumulators: one alone would
// wait for its own last sum.
template <int kRows, Element kElement>
void StreamPanel(const LinearArguments& a, int64_t panel, float* products) {
  constexpr int kChains = kRows == 1 ? 4 : kRows == 2 ? 2 : 1;
  using Stored = std::conditional_t<kElement == Element::kBf16, uint16_t, float>;
  const Stored* const weights = reinterpret_cast<const Stored*>(Panel(a.weights, panel));
  __m256 sums[kChains][kRows][2] = {};
  const auto step = [&](int64_t k, __m256(&chain)[kRows][2]) {
    const Stored* const from = weights + k * kPanelOutputs;
    Prefetch(from);
    __m256 low, high;
    if constexpr (kElement == Element::kBf16)
      low = WidenBf16(from), high = WidenBf16(from + 8);
    else
      low = _mm256_load_ps(from), high = _mm256_load_ps(from + 8);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const __m256 factor = _mm256_broadcast_ss(a.x + r * a.x_stride + k);
      chain[r][0] = _mm256_fmadd_ps(factor, low, chain[r][0]);
      chain[r][1] = _mm256_fmadd_ps(factor, high, chain[r][1]);
    }
  };
  int64_t k = 0;
  for (; k + kChains <= a.weights.inputs; k += kChains)
#pragma GCC unroll 4
    for (int chain = 0; chain < kChains; ++chain) step(k + chain, sums[chain]);
  for (; k < a.weights.inputs; ++k) step(k, sums[0]);
  for (int r = 0; r < kRows; ++r)
    for (int half = 0; half < 2; ++half) {
      for (int chain = 1; chain < kChains; ++chain)
        sums[0][r][half] = _mm256_add_ps(sums[0][r][half], sums[chain][r][half]);
      _mm256_storeu_ps(products + r * kPanelOutputs + half * 8, sums[0][r][half]);
    }
}

template <int kRows>
void StreamRoundedPanel(const LinearArguments& a, const RoundedRows& x, int64_t panel, float* products) {
  __m256i sums[kRows][2] = {};
  const __m128i* from = reinterpret_cast<const __m128i*>(Panel(a.weights, panel));
  for (int64_t p = 0; p < Pairs(a.weights.inputs); ++p, from += 2) {
    Prefetch(from);
    const __m256i low = _mm256_cvtepi8_epi16(_mm_load_si128(from));
    const __m256i high = _mm256_cvtepi8_epi16(_mm_load_si128(from + 1));
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      int32_t pair;
      std::memcpy(&pair, &x.values[static_cast<size_t>(r * x.stride + 2 * p)], sizeof(pair));
      const __m256i factor = _mm256_set1_epi32(pair);
      sums[r][0] = _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(factor, low));
      sums[r][1] = _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(factor, high));
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int half = 0; half < 2; ++half)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(products + r * kPanelOutputs + half * 8), sums[r][half]);
  Scale(a.weights, panel, x.scales, kRows, products);
}

template <int kRows>
void StreamPanels(const LinearArguments& a) {
  const RoundedRows* const rounded = a.weights.element == Element::kInt8 ? &Round(a) : nullptr;
#pragma omp parallel for schedule(static) num_threads(a.num_threads)
  for (int64_t panel = 0; panel < a.weights.num_panels; ++panel) {
    alignas(32) float products[kRows * kPanelOutputs];
    if (a.weights.element == Element::kInt8)
      StreamRoundedPanel<kRows>(a, *rounded, panel, products);
    else if (a.weights.element == Element::kBf16)
      StreamPanel<kRows, Element::kBf16>(a, panel, products);
    else
      StreamPanel<kRows, Element::kFp32>(a, panel, products);
    Finish(a, panel, 0, kRows, products);
  }
}

}  // namespace

void Linear(const LinearArguments& a) {
  switch (a.rows) {
    case 0:
      return;
    case 1:
      return StreamPanels<1>(a);
    case 2:
      return StreamPanels<2>(a);
    case 3:
      return StreamPanels<3>(a);
    case kFewRows:
      return StreamPanels<kFewRows>(a);
    default:
      return RunBlocks(a);
  }
}

}  // namespace cacheclip::avx2
