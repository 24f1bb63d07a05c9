#include "common/base/openmp_environment.h"

#include <unistd.h>

#include <cstdlib>

namespace cacheclip {
namespace {

constexpr char kSpins[] = "2000";  // some 20 microseconds: about what waking a thread takes

}  // namespace

void EnsurePassiveOpenMp(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  ::setenv("GOMP_SPINCOUNT", kSpins, 1);
  ::execv("/proc/self/exe",
          argv);  // comes back only if it fails: then the program runs with the default policy
}

}  // namespace cacheclip
