#include "common/rpc/shutdown_signal.h"

#include <csignal>
#include <thread>

#include <unistd.h>

#include "common/base/logging.h"

namespace cacheclip {
namespace {

sigset_t ShutdownSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

int WaitForSignal() {
  const sigset_t signals = ShutdownSignals();
  int number = 0;
  while (sigwait(&signals, &number) != 0) {
  }
  return number;
}

}  // namespace

void BlockShutdownSignals() {
  const sigset_t signals = ShutdownSignals();
  CACHECLIP_CHECK(pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

int WaitForShutdownSignal() {
  const int number = WaitForSignal();
  std::thread([] { _exit(128 + WaitForSignal()); }).detach();  // whoever asks twice does not want to wait
  return number;
}

}  // namespace cacheclip
