#include "common/rpc/shutdown_signal.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace cacheclip {
namespace {

// In a child process: the mask and the waiting thread outlive a call.
int SignalledExit(int number) {
  BlockShutdownSignals();
  raise(number);
  return WaitForShutdownSignal();
}

TEST(ShutdownSignalDeathTest, ReturnsTheSignalThatCame) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(std::exit(SignalledExit(SIGTERM)), testing::ExitedWithCode(SIGTERM), "");
  EXPECT_EXIT(std::exit(SignalledExit(SIGINT)), testing::ExitedWithCode(SIGINT), "");
}

TEST(ShutdownSignalDeathTest, AClientThatHangsUpDoesNotKill) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        BlockShutdownSignals();
        raise(SIGPIPE);
        raise(SIGXFSZ);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace cacheclip
