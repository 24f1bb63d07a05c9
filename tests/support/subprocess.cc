#include "tests/support/subprocess.h"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace cacheclip {

Subprocess::Subprocess(std::vector<std::string> command, std::string stderr_file)
    : stderr_file_(std::move(stderr_file)) {
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
  const int errors = open(stderr_file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) std::abort();
  if (pid_ == 0) {
    // A test that is killed runs no destructor. It may have died before the call, hence the question.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    dup2(ends[1], STDOUT_FILENO);
    if (errors >= 0) dup2(errors, STDERR_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
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
