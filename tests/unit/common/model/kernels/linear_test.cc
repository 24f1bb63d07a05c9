// Each form of weights against products in double precision, over shapes that leave rests of every kind.
#include "common/model/kernels/linear.h"

#include <cmath>
#include <random>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "common/model/kernels/isa.h"
#include "tests/unit/common/model/kernels/packed_matrix.h"

namespace cacheclip {
namespace {

using fp32::Element;
using fp32::Epilogue;

struct Kernel {
  Isa isa;
  void (*run)(const fp32::LinearArguments&);
};

constexpr Kernel kKernels[] = {{Isa::kAvx2, fp32::LinearAvx2}, {Isa::kAvx512, fp32::LinearAvx512}};

// Between the integers that each input of one of `rows` rows becomes; 0 if it is not rounded.
std::vector<float> Steps(const Kernel& kernel, Element element, int64_t rows, std::span<const float> row) {
  if (!fp32::IsRounded(element)) return std::vector<float>(row.size(), 0.0f);
  const bool as_bytes = kernel.isa == Isa::kAvx512 && element == Element::kInt8 && rows > fp32::kFewRows;
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

class LinearFp32 : public testing::TestWithParam<std::tuple<Kernel, Element>> {
 protected:
  void SetUp() override {
    if (!MachineHas(kernel_.isa)) GTEST_SKIP() << "this CPU lacks " << IsaName(kernel_.isa);
  }
  const Kernel kernel_ = std::get<0>(GetParam());
  const Element element_ = std::get<1>(GetParam());
};

TEST_P(LinearFp32, IsTheProductForAnyShapeAndEpilogue) {
  std::mt19937 random(2);
  for (const int64_t rows : {1, 2, 3, 4, 5, 11, 97, 200})
    for (const auto& [outputs, inputs] :
         {std::pair{16, 8}, {40, 33}, {50, 600}, {20, 1300}, {100, 40}, {7, 1}})
      for (const Epilogue epilogue : {Epilogue::kStore, Epilogue::kAdd}) {
        const Packed packed(element_, Random(static_cast<size_t>(outputs * inputs), random), outputs, inputs);
        const int64_t x_stride = inputs + 3, out_stride = outputs + 2;
        const std::vector<float> x = Random(static_cast<size_t>(rows * x_stride), random);
        const std::vector<float> bias = Random(static_cast<size_t>(outputs), random);
        const std::vector<float> before = Random(static_cast<size_t>(rows * out_stride), random);
        for (const bool has_bias : {false, true}) {
          std::vector<float> out = before;
          kernel_.run({packed.view, x.data(), x_stride, rows, has_bias ? bias.data() : nullptr, out.data(),
                       out_stride, outputs, epilogue, 3});
          for (int64_t r = 0; r < rows; ++r) {
            const std::span<const float> of_x{&x[static_cast<size_t>(r * x_stride)],
                                              static_cast<size_t>(inputs)};
            const std::vector<float> steps = Steps(kernel_, element_, rows, of_x);
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
              ASSERT_LE(std::fabs(is - sum), 1e-6 * size + Rounding(steps, row) + 1e-6)
                  << rows << "x" << outputs << "x" << inputs << " row " << r << " output " << o;
            }
          }
        }
      }
}

TEST_P(LinearFp32, GatedLanesGiveHalfAsManyColumns) {
  std::mt19937 random(3);
  constexpr int64_t kOutputs = 21, kInputs = 18;
  const int64_t num_panels = (kOutputs + 7) / 8;
  const std::vector<float> gate = Random(kOutputs * kInputs, random), up = Random(kOutputs * kInputs, random);
  Packed both(element_, Random(static_cast<size_t>(num_panels * 16 * kInputs), random), num_panels * 16,
              kInputs);
  fp32::Pack({Element::kFp32, gate.data(), kOutputs}, 0, 8, both.view, 1);
  fp32::Pack({Element::kFp32, up.data(), kOutputs}, 8, 8, both.view, 1);
  for (const int64_t rows : {1, 4, 30}) {
    const std::vector<float> x = Random(static_cast<size_t>(rows * kInputs), random);
    std::vector<float> out(static_cast<size_t>(rows * kOutputs), std::nanf(""));
    kernel_.run(
        {both.view, x.data(), kInputs, rows, nullptr, out.data(), kOutputs, kOutputs, Epilogue::kSwiGlu, 2});
    for (int64_t r = 0; r < rows; ++r) {
      const std::vector<float> steps =
          Steps(kernel_, element_, rows, {&x[static_cast<size_t>(r * kInputs)], kInputs});
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
                        1e-5 * (1 + std::fabs(expected)));
      }
    }
  }
}

TEST_P(LinearFp32, LargeNumbersSaturateTheGateCleanly) {
  const std::vector<float> ones(16 * 8, 1.0f);
  const Packed packed(element_, ones, 16, 8);
  for (const float x : {1e4f, -1e4f}) {
    const std::vector<float> row(8, x);
    std::vector<float> out(8);
    kernel_.run({packed.view, row.data(), 8, 1, nullptr, out.data(), 8, 8, Epilogue::kSwiGlu, 1});
    const double bound = element_ == Element::kInt16 ? 1e6 : 1e4;   // half a step of a weight: 3e-5 of it
    EXPECT_NEAR(out[3], x > 0 ? 6.4e9 : 0, x > 0 ? bound : 1e-20);  // of inputs of ±8e4
  }
}

// Rows and weights that are all the same number: of all rows of their norms those with the largest sums.
TEST_P(LinearFp32, LargestSumsDoNotOverflow) {
  for (const int64_t inputs : {2, 577, 20000}) {
    const Packed packed(element_, std::vector<float>(static_cast<size_t>(inputs) * 16, 0.3f), 16, inputs);
    for (const int64_t rows : {1, 9}) {
      const std::vector<float> x(static_cast<size_t>(rows * inputs), -7.0f);
      std::vector<float> out(static_cast<size_t>(rows * 16));
      kernel_.run({packed.view, x.data(), inputs, rows, nullptr, out.data(), 16, 16, Epilogue::kStore, 1});
      for (const float y : out) EXPECT_NEAR(y / (-2.1 * static_cast<double>(inputs)), 1, 3e-3) << inputs;
    }
  }
}

std::string Name(const testing::TestParamInfo<std::tuple<Kernel, Element>>& info) {
  const auto& [kernel, element] = info.param;
  return std::string(IsaName(kernel.isa)) + "_" + ElementName(element);
}

INSTANTIATE_TEST_SUITE_P(Kernels, LinearFp32,
                         testing::Combine(testing::ValuesIn(kKernels), testing::ValuesIn(kElements)), Name);

}  // namespace
}  // namespace cacheclip
