#include "tests/support/subprocess.h"

#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace cacheclip {
namespace {

// Children die with the thread that forked them, so one that lasts as long as the process forks all of them.
class Forker {
 public:
  static pid_t Run(std::function<pid_t()> fork_child) {
    static std::mutex mutex;
    static Forker* forker = nullptr;  // not destroyed: its thread waits in it until the process ends
    static pid_t owner = 0;           // a forked copy of the program has no such thread yet
    std::lock_guard lock(mutex);
    if (owner != getpid()) {
      forker = new Forker;
      owner = getpid();
      std::thread([forker = forker] { forker->Loop(); }).detach();
    }
    return forker->Ask(std::move(fork_child));
  }

 private:
  pid_t Ask(std::function<pid_t()> fork_child) {
    std::unique_lock lock(mutex_);
    job_ = std::move(fork_child);
    changed_.notify_all();
    changed_.wait(lock, [this] { return job_ == nullptr; });
    return pid_;
  }
  void Loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return job_ != nullptr; });
      pid_ = job_();
      job_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<pid_t()> job_;
  pid_t pid_ = -1;
};

}  // namespace

Subprocess::Subprocess(std::vector<std::string> command, std::string stderr_file)
    : stderr_file_(std::move(stderr_file)) {
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
  const int errors = open(stderr_file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  pid_ = Forker::Run([&, parent = getpid()] {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    // A test that is killed runs no destructor. It may have died before the call, hence the question.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    dup2(ends[1], STDOUT_FILENO);
    if (errors >= 0) dup2(errors, STDERR_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  });
  if (pid_ < 0) std::abort();
  close(ends[1]);
  close(errors);
  stdout_ = ends[0];
}

Subprocess::~Subprocess() {
  if (status_ < 0) {
    Signal(SIGKILL);
    Wait();
  }
  close(stdout_);
}

std::string Subprocess::ReadLine() {
  std::string line;
  char c = 0;
  while (read(stdout_, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

std::string Subprocess::ReadAll() {
  std::string text;
  char block[4096];
  for (ssize_t count = 0; (count = read(stdout_, block, sizeof(block))) > 0;) text.append(block, count);
  return text;
}

void Subprocess::Signal(int number) {
  if (status_ < 0) kill(pid_, number);
}

int Subprocess::Wait() {
  if (status_ >= 0) return status_;
  int status = 0;
  waitpid(pid_, &status, 0);
  status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return status_;
}

std::string Subprocess::Stderr() const {
  std::ifstream file(stderr_file_);
  return {std::istreambuf_iterator<char>(file), {}};
}

CommandResult RunCommand(std::vector<std::string> command, const std::string& stderr_file) {
  Subprocess process(std::move(command), stderr_file);
  CommandResult result;
  result.output = process.ReadAll();
  result.status = process.Wait();
  result.error = process.Stderr();
  return result;
}

}  // namespace cacheclip
