#include "common/model/kernels/isa.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace cacheclip {
namespace {

TEST(Isa, EveryMachineHasTheGenericOne) { EXPECT_TRUE(MachineHas(Isa::kGeneric)); }

TEST(Isa, NamesDiffer) {
  EXPECT_EQ(IsaName(Isa::kGeneric), "generic");
  EXPECT_EQ(IsaName(Isa::kAvx512Bf16), "avx512bf16");
}

TEST(Isa, ActiveOneIsHadAndStays) {
  EXPECT_TRUE(MachineHas(ActiveIsa()));
  EXPECT_EQ(ActiveIsa(), ActiveIsa());
}

// The choice is made once per process, so each of these runs in a process of its own.
class IsaDeathTest : public testing::Test {
 protected:
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
  [[noreturn]] static void ExitWithChoice(const char* forced) {
    if (forced)
      ::setenv("CACHECLIP_ISA", forced, 1);
    else
      ::unsetenv("CACHECLIP_ISA");
    std::exit(ActiveIsa() == Isa::kGeneric ? 10 : 11);
  }
  const int best_ = MachineHas(Isa::kAvx512Bf16) ? 11 : 10;
};

TEST_F(IsaDeathTest, BestIsTakenUnlessForced) {
  EXPECT_EXIT(ExitWithChoice(nullptr), testing::ExitedWithCode(best_), "");
}

TEST_F(IsaDeathTest, GenericCanBeForced) {
  EXPECT_EXIT(ExitWithChoice("generic"), testing::ExitedWithCode(10), "");
}

TEST_F(IsaDeathTest, UnknownNameIsIgnoredWithAWarning) {
  EXPECT_EXIT(ExitWithChoice("sse9"), testing::ExitedWithCode(best_), "sse9");
}

}  // namespace
}  // namespace cacheclip
