#include "common/model/kernels/isa.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace cacheclip {
namespace {

TEST(Isa, EveryMachineHasTheGenericOne) { EXPECT_TRUE(MachineHas(Isa::kGeneric)); }

TEST(Isa, NamesDiffer) {
  EXPECT_EQ(IsaName(Isa::kGeneric), "generic");
  EXPECT_EQ(IsaName(Isa::kAvx2), "avx2");
  EXPECT_EQ(IsaName(Isa::kAvx512), "avx512");
  EXPECT_EQ(IsaName(Isa::kAvx512Bf16), "avx512bf16");
}

TEST(Isa, AMachineThatHasOneHasThoseBeforeIt) {
  EXPECT_TRUE(MachineHas(Isa::kAvx2) || !MachineHas(Isa::kAvx512));
  EXPECT_TRUE(MachineHas(Isa::kAvx512) || !MachineHas(Isa::kAvx512Bf16));
}

TEST(Isa, OnlyAMachineWithBf16IsFastWithIt) {
  EXPECT_TRUE(MachineHas(Isa::kAvx512Bf16) || !MachineIsFastWithBf16());
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
    std::exit(ExitCode(ActiveIsa()));
  }
  static int ExitCode(Isa isa) { return 10 + static_cast<int>(isa); }
  const int best_ = ExitCode(MachineIsFastWithBf16()    ? Isa::kAvx512Bf16
                             : MachineHas(Isa::kAvx512) ? Isa::kAvx512
                             : MachineHas(Isa::kAvx2)   ? Isa::kAvx2
                                                        : Isa::kGeneric);
};

TEST_F(IsaDeathTest, BestIsTakenUnlessForced) {
  EXPECT_EXIT(ExitWithChoice(nullptr), testing::ExitedWithCode(best_), "");
}

TEST_F(IsaDeathTest, WhatTheMachineHasCanBeForced) {
  for (const Isa isa : {Isa::kGeneric, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16}) {
    if (!MachineHas(isa)) continue;
    const std::string name(IsaName(isa));
    EXPECT_EXIT(ExitWithChoice(name.c_str()), testing::ExitedWithCode(ExitCode(isa)), "") << name;
  }
}

TEST_F(IsaDeathTest, UnknownNameIsIgnoredWithAWarning) {
  EXPECT_EXIT(ExitWithChoice("sse9"), testing::ExitedWithCode(best_), "sse9");
}

}  // namespace
}  // namespace cacheclip
