#include "common/base/openmp_environment.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

namespace cacheclip {
namespace {

// Runs EnsurePassiveOpenMp in a child whose environment `prepare` sets; returns whether it came back without
// a restart.
template <typename Prepare>
bool ComesBack(Prepare prepare) {
  const pid_t child = ::fork();
  if (child == 0) {
    prepare();
    char program[] = "base_test", list[] = "--gtest_list_tests";
    char* argv[] = {program, list, nullptr};
    if (::freopen("/dev/null", "w", stdout) == nullptr) ::_exit(3);
    EnsurePassiveOpenMp(argv);  // a restart lists the tests and exits with 0
    ::_exit(42);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && (WEXITSTATUS(status) == 42 || WEXITSTATUS(status) == 0)) << status;
  return WEXITSTATUS(status) == 42;
}

TEST(OpenMpEnvironment, SettingsOfTheUserAreLeftAlone) {
  EXPECT_TRUE(ComesBack([] { ::setenv("OMP_WAIT_POLICY", "active", 1); }));
  EXPECT_TRUE(ComesBack([] {
    ::unsetenv("OMP_WAIT_POLICY");
    ::setenv("GOMP_SPINCOUNT", "100", 1);
  }));
}

TEST(OpenMpEnvironment, WithoutSettingsTheProgramRestartsOnce) {
  EXPECT_FALSE(ComesBack([] {
    ::unsetenv("OMP_WAIT_POLICY");
    ::unsetenv("GOMP_SPINCOUNT");
  }));
}

}  // namespace
}  // namespace cacheclip
