// A program started by a test: its standard output is read through a pipe, standard error goes to a file.
// Killed with SIGKILL, if it still runs, when the object goes or the test ends in any way.
// Belongs to one test.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace cacheclip {

class Subprocess {
 public:
  // Aborts the test program if it cannot be started.
  Subprocess(std::vector<std::string> command, std::string stderr_file);
  ~Subprocess();
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;

  std::string ReadLine();   // one line of stdout without its end; "" at the end of the stream
  std::string ReadAll();    // the rest of stdout
  void Signal(int number);  // SIGTERM, SIGKILL, …
  int Wait();               // exit status, or 128 + the signal that ended it
  pid_t pid() const { return pid_; }
  std::string Stderr() const;  // what it wrote so far

 private:
  const std::string stderr_file_;
  pid_t pid_ = -1;
  int stdout_ = -1;
  int status_ = -1;
};

struct CommandResult {
  int status = 0;
  std::string output, error;
};

// Runs to its end.
CommandResult RunCommand(std::vector<std::string> command, const std::string& stderr_file);

}  // namespace cacheclip
