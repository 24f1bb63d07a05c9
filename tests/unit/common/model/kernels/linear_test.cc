// Each form of weights against products in double precision, over shapes that leave rests of every kind.
#include "common/model/kernels/linear.h"

#include <cmath>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "common/model/kernels/isa.h"
#include "tests/unit/common/model/kernels/bf16_arrays.h"
#include "tests/unit/common/model/kernels/packed_matrix.h"

namespace cacheclip {
namespace {

using fp32::Element;
using fp32::Epilogue;

// A kernel, and what it multiplies.
struct Form {
  Isa isa;
  void (*run)(const fp32::LinearArguments&);
  Element weights, rows;  // rows: of x and of the results
};

std::vector<Form> Forms() {
  std::vector<Form> forms = {{Isa::kAvx512Bf16, fp32::LinearAvx512Bf16, Element::kBf16Pairs, Element::kBf16},
                             {Isa::kAvx512Bf16, fp32::LinearAvx512Bf16, Element::kBf16Pairs, Element::kFp32}};
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
    const auto run = isa == Isa::kAvx2 ? fp32::LinearAvx2 : fp32::LinearAvx512;
    for (const Element weights : {Element::kFp32, Element::kBf16, Element::kInt16, Element::kInt8})
      forms.push_back({isa, run, weights, Element::kFp32});
    for (const Element weights : {Element::kInt16, Element::kInt8})
      forms.push_back({isa, run, weights, Element::kBf16});
  }
  return forms;
}

// Numbers in memory as a kernel takes them: bf16 are those nearest to `values`.
class Numbers {
 public:
  Numbers(std::vector<float> values, Element element) : wide_(std::move(values)) {
    if (element != Element::kBf16) return;
    for (float& value : wide_) value = FromBf16(narrow_.emplace_back(ToBf16(value)));
  }
  void* data() { return narrow_.empty() ? static_cast<void*>(wide_.data()) : narrow_.data(); }
  float operator[](size_t i) const { return narrow_.empty() ? wide_[i] : FromBf16(narrow_[i]); }
  // As they were given: what kernels read.
  std::span<const float> Read(int64_t first, int64_t count) const {
    return std::span(wide_).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
  }

 private:
  std::vector<float> wide_;
  std::vector<avx512::Bf16> narrow_;
};

// Between the integers that each input of one of `rows` rows becomes; 0 if it is not rounded.
std::vector<float> Steps(const Form& form, int64_t rows, std::span<const float> row) {
  const Element element = form.weights;
  if (!fp32::IsRounded(element)) return std::vector<float>(row.size(), 0.0f);
  const bool as_bytes = form.isa == Isa::kAvx512 && element == Element::kInt8 && rows > fp32::kFewRows;
  const auto inputs = static_cast<int64_t>(row.size());
  std::vector<float> steps;
  while (!row.empty()) {
    const auto sharing = row.first(as_bytes ? std::min<size_t>(fp32::kByteGroup, row.size()) : row.size());
    float largest = 0, squares = 0;
    for (const float x : sharing) largest = std::max(largest, std::fabs(x)), squares += x * x;
    const float step =
        as_bytes ? largest / INT8_MAX
                 : std::max(largest / INT16_MAX, std::sqrt(squares) / fp32::MaxRowNorm(element, inputs));
    steps.insert(steps.end(), sharing.size(), step);
    row = row.subspan(sharing.size());
  }
  return steps;
}

// How far rounding takes a row's product with these weights at most: half a step an input.
double Rounding(std::span<const float> steps, std::span<const float> weights) {
  double rounding = 0;
  for (size_t k = 0; k < steps.size(); ++k) rounding += std::fabs(weights[k]) * steps[k] / 2 * 1.001;
  return rounding;
}

class LinearKernel : public testing::TestWithParam<Form> {
 protected:
  void SetUp() override {
    if (!MachineHas(form_.isa)) GTEST_SKIP() << "this CPU lacks " << IsaName(form_.isa);
  }
  // Of x: products of bf16 take bf16 alone.
  Element x_element() const { return form_.weights == Element::kBf16Pairs ? Element::kBf16 : form_.rows; }
  bool Takes(int64_t inputs) const { return form_.weights != Element::kBf16Pairs || inputs % 2 == 0; }
  void Run(fp32::LinearArguments arguments) const {
    arguments.x_element = x_element(), arguments.out_element = form_.rows;
    form_.run(arguments);
  }
  // Half a step between neighbouring results.
  double ResultRounding(double y) const { return form_.rows == Element::kBf16 ? std::fabs(y) / 256 : 0; }

  const Form form_ = GetParam();
};

TEST_P(LinearKernel, IsTheProductForAnyShapeAndEpilogue) {
  std::mt19937 random(2);
  for (const int64_t rows : {1, 2, 3, 4, 5, 11, 97, 200})
    for (const auto& [outputs, inputs] :
         {std::pair{16, 8}, {40, 33}, {50, 600}, {20, 1300}, {100, 40}, {7, 1}})
      for (const Epilogue epilogue : {Epilogue::kStore, Epilogue::kAdd}) {
        if (!Takes(inputs)) continue;
        const Packed packed(form_.weights, Random(static_cast<size_t>(outputs * inputs), random), outputs,
                            inputs);
        const int64_t x_stride = inputs + 3, out_stride = outputs + 2;
        Numbers x(Random(static_cast<size_t>(rows * x_stride), random), x_element());
        const std::vector<float> bias = Random(static_cast<size_t>(outputs), random);
        const Numbers before(Random(static_cast<size_t>(rows * out_stride), random), form_.rows);
        for (const bool has_bias : {false, true}) {
          Numbers out = before;
          Run({packed.view, x.data(), x_stride, rows, has_bias ? bias.data() : nullptr, out.data(),
               out_stride, outputs, epilogue, 3});
          for (int64_t r = 0; r < rows; ++r) {
            const std::vector<float> steps = Steps(form_, rows, x.Read(r * x_stride, inputs));
            for (int64_t o = 0; o < out_stride; ++o) {
              const float was = before[r * out_stride + o], is = out[r * out_stride + o];
              if (o >= outputs) {
                ASSERT_EQ(is, was) << "written behind the row";
                continue;
              }
              const std::vector<float> row = packed.Row(o);
              double sum = epilogue == Epilogue::kAdd ? was : 0, size = std::fabs(sum);
              if (has_bias) sum += bias[o], size += std::fabs(bias[o]);
              for (int64_t k = 0; k < inputs; ++k) {
                const double product = static_cast<double>(row[k]) * x[r * x_stride + k];
                sum += product, size += std::fabs(product);
              }
              ASSERT_LE(std::fabs(is - sum), 1e-6 * size + Rounding(steps, row) + ResultRounding(is) + 1e-6)
                  << rows << "x" << outputs << "x" << inputs << " row " << r << " output " << o;
            }
          }
        }
      }
}

TEST_P(LinearKernel, GatedLanesGiveHalfAsManyColumns) {
  std::mt19937 random(3);
  constexpr int64_t kOutputs = 21, kInputs = 18;
  const int64_t num_panels = (kOutputs + 7) / 8;
  const std::vector<float> gate = Random(kOutputs * kInputs, random), up = Random(kOutputs * kInputs, random);
  Packed both(form_.weights, Random(static_cast<size_t>(num_panels * 16 * kInputs), random), num_panels * 16,
              kInputs);
  fp32::Pack({Element::kFp32, gate.data(), kOutputs}, 0, 8, both.view, 1);
  fp32::Pack({Element::kFp32, up.data(), kOutputs}, 8, 8, both.view, 1);
  for (const int64_t rows : {1, 4, 30}) {
    Numbers x(Random(static_cast<size_t>(rows * kInputs), random), x_element());
    Numbers out(std::vector<float>(static_cast<size_t>(rows * kOutputs), 1e30f), form_.rows);
    Run({both.view, x.data(), kInputs, rows, nullptr, out.data(), kOutputs, kOutputs, Epilogue::kSwiGlu, 2});
    for (int64_t r = 0; r < rows; ++r) {
      const std::vector<float> steps = Steps(form_, rows, x.Read(r * kInputs, kInputs));
      for (int64_t o = 0; o < kOutputs; ++o) {
        const std::vector<float> g = both.Row(o / 8 * 16 + o % 8), u = both.Row(o / 8 * 16 + 8 + o % 8);
        double gate_sum = 0, up_sum = 0;
        for (int64_t k = 0; k < kInputs; ++k)
          gate_sum += static_cast<double>(g[k]) * x[r * kInputs + k],
              up_sum += static_cast<double>(u[k]) * x[r * kInputs + k];
        const double expected = gate_sum / (1 + std::exp(-gate_sum)) * up_sum;
        const double of_gate = 1.1 * Rounding(steps, g), of_up = Rounding(steps, u);  // silu is no steeper
        ASSERT_NEAR(out[r * kOutputs + o], expected,
                    of_gate * (std::fabs(up_sum) + of_up) + std::fabs(gate_sum) * of_up +
                        1.01 * ResultRounding(expected) + 1e-5 * (1 + std::fabs(expected)));
      }
    }
  }
}

TEST_P(LinearKernel, LargeNumbersSaturateTheGateCleanly) {
  const std::vector<float> ones(16 * 8, 1.0f);
  const Packed packed(form_.weights, ones, 16, 8);
  for (const float x : {1e4f, -1e4f}) {
    Numbers row(std::vector<float>(8, x), x_element()), out(std::vector<float>(8), form_.rows);
    Run({packed.view, row.data(), 8, 1, nullptr, out.data(), 8, 8, Epilogue::kSwiGlu, 1});
    const double expected = x > 0 ? 64.0 * row[0] * row[0] : 0;             // of inputs of ±8e4
    const double half_step = form_.weights == Element::kInt16 ? 1e6 : 1e4;  // of a weight: 3e-5 of it
    EXPECT_NEAR(out[3], expected, x > 0 ? half_step + ResultRounding(expected) : 1e-20);
  }
}

// Rows and weights that are all the same number: of all rows of their norms those with the largest sums.
TEST_P(LinearKernel, LargestSumsDoNotOverflow) {
  for (const int64_t inputs : {2, 577, 20000}) {
    if (!Takes(inputs)) continue;
    const Packed packed(form_.weights, std::vector<float>(static_cast<size_t>(inputs) * 16, 0.3f), 16,
                        inputs);
    for (const int64_t rows : {1, 9}) {
      Numbers x(std::vector<float>(static_cast<size_t>(rows * inputs), -7.0f), x_element());
      Numbers out(std::vector<float>(static_cast<size_t>(rows * 16)), form_.rows);
      Run({packed.view, x.data(), inputs, rows, nullptr, out.data(), 16, 16, Epilogue::kStore, 1});
      for (size_t i = 0; i < static_cast<size_t>(rows * 16); ++i)
        EXPECT_NEAR(out[i] / (-2.1 * static_cast<double>(inputs)), 1, 3e-3 + ResultRounding(1)) << inputs;
    }
  }
}

std::string Name(const testing::TestParamInfo<Form>& info) {
  const Form& form = info.param;
  return std::string(IsaName(form.isa)) + "_" + ElementName(form.weights) + "_" + ElementName(form.rows);
}

INSTANTIATE_TEST_SUITE_P(Kernels, LinearKernel, testing::ValuesIn(Forms()), Name);

}  // namespace
}  // namespace cacheclip
