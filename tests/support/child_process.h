// A forked copy of the test program that runs a function, with a byte channel each way; killed with SIGKILL
// when the object goes or the thread that started it ends. The child leaves by _exit: it runs no destructor
// and reports no test result, so its body aborts on failure. Belongs to one test.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace cacheclip {

class ChildProcess {
 public:
  struct Channel {
    int in, out;
    void Send() const { EXPECT_EQ(::write(out, "x", 1), 1); }
    bool Wait() const {  // false when the other side is gone
      char byte;
      return ::read(in, &byte, 1) == 1;
    }
  };

  explicit ChildProcess(const std::function<void(const Channel&)>& body) {
    int down[2], up[2];
    if (::pipe(down) != 0 || ::pipe(up) != 0) std::abort();
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed runs no destructor
      if (::getppid() != parent) ::_exit(1);
      ::close(down[1]);
      ::close(up[0]);
      body({down[0], up[1]});
      ::_exit(0);
    }
    ::close(down[0]);
    ::close(up[1]);
    channel_ = {up[0], down[1]};
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() {
    Kill();
    ::close(channel_.in);
    ::close(channel_.out);
  }
  void Kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  // Waits for the end of its body; false if it ended in any other way.
  bool Finish() {
    int status = -1;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  const Channel& channel() const { return channel_; }

 private:
  pid_t pid_ = 0;
  Channel channel_;
};

}  // namespace cacheclip
