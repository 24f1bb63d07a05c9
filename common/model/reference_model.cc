#include "common/model/reference_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

using Vector = std::vector<double>;
using Matrix = std::vector<Vector>;  // [rows][columns]

float FloatFromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

double HalfToDouble(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double sign = bits >> 15 ? -1.0 : 1.0;
  if (exponent == 31) return fraction ? std::numeric_limits<double>::quiet_NaN() : sign * HUGE_VAL;
  return exponent == 0 ? sign * std::ldexp(fraction, -24) : sign * std::ldexp(1024 + fraction, exponent - 25);
}

double Element(const TensorView& view, size_t index) {
  if (view.dtype == TensorDtype::kFloat32) {
    uint32_t bits;
    std::memcpy(&bits, view.bytes.data() + index * sizeof bits, sizeof bits);
    return FloatFromBits(bits);
  }
  uint16_t bits;
  std::memcpy(&bits, view.bytes.data() + index * sizeof bits, sizeof bits);
  return view.dtype == TensorDtype::kFloat16 ? HalfToDouble(bits)
                                             : FloatFromBits(static_cast<uint32_t>(bits) << 16);
}

absl::StatusOr<Matrix> ReadMatrix(const Checkpoint& checkpoint, const std::string& name, int64_t rows,
                                  int64_t columns) {
  CACHECLIP_ASSIGN_OR_RETURN(const TensorView view, checkpoint.Find(name));
  const std::vector<int64_t> expected =
      rows == 0 ? std::vector<int64_t>{columns} : std::vector<int64_t>{rows, columns};
  if (view.shape != expected)
    return absl::DataLossError(absl::StrCat("tensor ", name, " has an unexpected shape"));
  Matrix matrix(static_cast<size_t>(std::max<int64_t>(1, rows)), Vector(static_cast<size_t>(columns)));
  size_t index = 0;
  for (Vector& row : matrix)
    for (double& value : row) value = Element(view, index++);
  return matrix;
}

absl::StatusOr<Vector> ReadVector(const Checkpoint& checkpoint, const std::string& name, int64_t size) {
  CACHECLIP_ASSIGN_OR_RETURN(Matrix matrix, ReadMatrix(checkpoint, name, 0, size));
  return std::move(matrix[0]);
}

struct Projection {
  Matrix weight;
  Vector bias;  // empty: none
};

absl::StatusOr<Projection> ReadProjection(const Checkpoint& checkpoint, const std::string& name, int64_t rows,
                                          int64_t columns, bool has_bias) {
  Projection projection;
  CACHECLIP_ASSIGN_OR_RETURN(projection.weight, ReadMatrix(checkpoint, name + ".weight", rows, columns));
  if (has_bias) {
    CACHECLIP_ASSIGN_OR_RETURN(projection.bias, ReadVector(checkpoint, name + ".bias", rows));
  }
  return projection;
}

struct Layer {
  Vector input_norm, post_norm, query_norm, key_norm;
  Projection query, key, value, output, gate, up, down;
};

absl::StatusOr<Layer> ReadLayer(const Checkpoint& checkpoint, const ModelConfig& config, int64_t index) {
  const std::string name = absl::StrCat("model.layers.", index, "."), attention = name + "self_attn.",
                    mlp = name + "mlp.";
  const int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const int64_t query_rows = config.num_heads * config.head_dim,
                kv_rows = config.num_kv_heads * config.head_dim;
  const bool bias = config.attention_bias;
  Layer layer;
  CACHECLIP_ASSIGN_OR_RETURN(layer.input_norm,
                             ReadVector(checkpoint, name + "input_layernorm.weight", hidden));
  CACHECLIP_ASSIGN_OR_RETURN(layer.post_norm,
                             ReadVector(checkpoint, name + "post_attention_layernorm.weight", hidden));
  if (config.query_key_norm) {
    CACHECLIP_ASSIGN_OR_RETURN(layer.query_norm,
                               ReadVector(checkpoint, attention + "q_norm.weight", config.head_dim));
    CACHECLIP_ASSIGN_OR_RETURN(layer.key_norm,
                               ReadVector(checkpoint, attention + "k_norm.weight", config.head_dim));
  }
  CACHECLIP_ASSIGN_OR_RETURN(layer.query,
                             ReadProjection(checkpoint, attention + "q_proj", query_rows, hidden, bias));
  CACHECLIP_ASSIGN_OR_RETURN(layer.key,
                             ReadProjection(checkpoint, attention + "k_proj", kv_rows, hidden, bias));
  CACHECLIP_ASSIGN_OR_RETURN(layer.value,
                             ReadProjection(checkpoint, attention + "v_proj", kv_rows, hidden, bias));
  CACHECLIP_ASSIGN_OR_RETURN(
      layer.output, ReadProjection(checkpoint, attention + "o_proj", hidden, query_rows, config.output_bias));
  CACHECLIP_ASSIGN_OR_RETURN(layer.gate, ReadProjection(checkpoint, mlp + "gate_proj", inner, hidden, false));
  CACHECLIP_ASSIGN_OR_RETURN(layer.up, ReadProjection(checkpoint, mlp + "up_proj", inner, hidden, false));
  CACHECLIP_ASSIGN_OR_RETURN(layer.down, ReadProjection(checkpoint, mlp + "down_proj", hidden, inner, false));
  return layer;
}

Vector Apply(const Projection& projection, const Vector& x) {
  Vector out(projection.weight.size());
  for (size_t row = 0; row < out.size(); ++row) {
    double sum = projection.bias.empty() ? 0 : projection.bias[row];
    for (size_t column = 0; column < x.size(); ++column) sum += projection.weight[row][column] * x[column];
    out[row] = sum;
  }
  return out;
}

// Normalises x[begin, begin + weight.size()) in place: x / rms(x) · weight.
void RmsNorm(Vector& x, size_t begin, const Vector& weight, double epsilon) {
  double sum = 0;
  for (size_t i = 0; i < weight.size(); ++i) sum += x[begin + i] * x[begin + i];
  const double scale = 1 / std::sqrt(sum / static_cast<double>(weight.size()) + epsilon);
  for (size_t i = 0; i < weight.size(); ++i) x[begin + i] *= scale * weight[i];
}

Vector Normed(Vector x, const Vector& weight, double epsilon) {
  RmsNorm(x, 0, weight, epsilon);
  return x;
}

void AddTo(Vector& x, const Vector& y) {
  for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

// Norms (where the family has them) and rotates each head of `x` for `position`.
void PrepareHeads(Vector& x, const ModelConfig& config, const Vector& norm, const Vector& frequencies,
                  size_t position) {
  const size_t dim = static_cast<size_t>(config.head_dim), half = dim / 2;
  for (size_t head = 0; head < x.size(); head += dim) {
    if (!norm.empty()) RmsNorm(x, head, norm, config.rms_norm_epsilon);
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) * frequencies[i];
      const double first = x[head + i], second = x[head + half + i];
      x[head + i] = first * std::cos(angle) - second * std::sin(angle);
      x[head + half + i] = second * std::cos(angle) + first * std::sin(angle);
    }
  }
}

// Softmax attention of one query head, at `begin` of the row's queries, over tokens 0 … row.
void AttendHead(const Matrix& queries, const Matrix& keys, const Matrix& values, size_t row, size_t begin,
                size_t kv_begin, size_t dim, Vector& context) {
  Vector scores(row + 1);
  for (size_t token = 0; token <= row; ++token) {
    double score = 0;
    for (size_t i = 0; i < dim; ++i) score += queries[row][begin + i] * keys[token][kv_begin + i];
    scores[token] = score / std::sqrt(static_cast<double>(dim));
  }
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score - top);
  for (size_t token = 0; token <= row; ++token)
    for (size_t i = 0; i < dim; ++i) context[begin + i] += scores[token] / sum * values[token][kv_begin + i];
}

void RunAttention(const Layer& layer, const ModelConfig& config, const Vector& frequencies, Matrix& hidden) {
  Matrix queries, keys, values;
  for (size_t position = 0; position < hidden.size(); ++position) {
    const Vector x = Normed(hidden[position], layer.input_norm, config.rms_norm_epsilon);
    queries.push_back(Apply(layer.query, x));
    keys.push_back(Apply(layer.key, x));
    values.push_back(Apply(layer.value, x));
    PrepareHeads(queries.back(), config, layer.query_norm, frequencies, position);
    PrepareHeads(keys.back(), config, layer.key_norm, frequencies, position);
  }
  const size_t dim = static_cast<size_t>(config.head_dim), heads = static_cast<size_t>(config.num_heads);
  const size_t group = heads / static_cast<size_t>(config.num_kv_heads);  // query heads that share a kv head
  for (size_t row = 0; row < hidden.size(); ++row) {
    Vector context(heads * dim, 0.0);
    for (size_t head = 0; head < heads; ++head)
      AttendHead(queries, keys, values, row, head * dim, head / group * dim, dim, context);
    AddTo(hidden[row], Apply(layer.output, context));
  }
}

void RunMlp(const Layer& layer, const ModelConfig& config, Matrix& hidden) {
  for (Vector& row : hidden) {
    const Vector x = Normed(row, layer.post_norm, config.rms_norm_epsilon);
    Vector gate = Apply(layer.gate, x);
    const Vector up = Apply(layer.up, x);
    for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
    AddTo(row, Apply(layer.down, gate));
  }
}

}  // namespace

std::vector<double> ReferenceFrequencies(const ModelConfig& config) {
  const RopeParameters& rope = config.rope;
  std::vector<double> frequencies(static_cast<size_t>(config.head_dim / 2));
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double plain =
        std::pow(rope.theta, -2 * static_cast<double>(i) / static_cast<double>(config.head_dim));
    const double original = static_cast<double>(rope.original_max_positions);
    const double turns =
        original * plain / (2 * std::numbers::pi);  // in the length the model was first trained for
    double kept = 1;  // share of the plain frequency that stays; the rest is divided by the factor
    if (rope.scaling == RopeScaling::kLinear) kept = 0;
    if (rope.scaling == RopeScaling::kLlama3)
      kept = std::clamp(
          (turns - rope.low_frequency_factor) / (rope.high_frequency_factor - rope.low_frequency_factor), 0.0,
          1.0);
    frequencies[i] = kept * plain + (1 - kept) * plain / rope.factor;
  }
  return frequencies;
}

absl::StatusOr<std::vector<std::vector<float>>> ReferenceLogits(const Checkpoint& checkpoint,
                                                                const ModelConfig& config,
                                                                std::span<const int32_t> ids) {
  if (static_cast<int64_t>(ids.size()) > kMaxReferenceTokens)
    return absl::ResourceExhaustedError(
        absl::StrCat(ids.size(), " ids: the reference takes at most ", kMaxReferenceTokens));
  CACHECLIP_ASSIGN_OR_RETURN(const Matrix embedding, ReadMatrix(checkpoint, "model.embed_tokens.weight",
                                                                config.vocab_size, config.hidden_size));
  Matrix hidden;
  for (int32_t id : ids) {
    if (id < 0 || id >= config.vocab_size)
      return absl::InvalidArgumentError(absl::StrCat("token id ", id, " is outside the vocabulary"));
    hidden.push_back(embedding[static_cast<size_t>(id)]);
  }
  const Vector frequencies = ReferenceFrequencies(config);
  for (int64_t index = 0; index < config.num_layers; ++index) {
    CACHECLIP_ASSIGN_OR_RETURN(const Layer layer, ReadLayer(checkpoint, config, index));
    RunAttention(layer, config, frequencies, hidden);
    RunMlp(layer, config, hidden);
  }
  CACHECLIP_ASSIGN_OR_RETURN(const Vector final_norm,
                             ReadVector(checkpoint, "model.norm.weight", config.hidden_size));
  Projection head{.weight = embedding, .bias = {}};
  if (!config.tied_head) {
    CACHECLIP_ASSIGN_OR_RETURN(
        head.weight, ReadMatrix(checkpoint, "lm_head.weight", config.vocab_size, config.hidden_size));
  }
  std::vector<std::vector<float>> logits;
  for (const Vector& row : hidden) {
    const Vector wide = Apply(head, Normed(row, final_norm, config.rms_norm_epsilon));
    logits.emplace_back(wide.begin(), wide.end());
  }
  return logits;
}

}  // namespace cacheclip
