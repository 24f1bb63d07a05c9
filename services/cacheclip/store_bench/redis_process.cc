#include "services/cacheclip/store_bench/redis_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/redis/redis_client.h"

namespace cacheclip {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(10);
constexpr absl::Duration kPollInterval = absl::Milliseconds(10);

absl::StatusOr<int> FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool is_bound = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (fd >= 0) ::close(fd);
  if (!is_bound) return absl::UnavailableError("there is no free port on 127.0.0.1");
  return ntohs(address.sin_port);
}

// In the child: nothing but system calls.
[[noreturn]] void Become(char* const* arguments, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nowhere = ::open("/dev/null", O_RDWR);
  for (const int fd : {0, 1, 2}) ::dup2(nowhere, fd);
  ::execvp(arguments[0], arguments);
  ::_exit(127);
}

}  // namespace

absl::StatusOr<std::unique_ptr<RedisProcess>> RedisProcess::Start(int64_t max_memory_bytes) {
  CACHECLIP_ASSIGN_OR_RETURN(const int port, FreePort());
  std::vector<std::string> command = {"redis-server",
                                      "--bind",
                                      "127.0.0.1",
                                      "--port",
                                      absl::StrCat(port),
                                      "--save",
                                      "",
                                      "--appendonly",
                                      "no",
                                      "--maxmemory",
                                      absl::StrCat(max_memory_bytes),
                                      "--maxmemory-policy",
                                      "volatile-lru"};
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return absl::UnavailableError("no process can be started");
  if (pid == 0) Become(arguments.data(), parent);
  std::unique_ptr<RedisProcess> process(new RedisProcess(pid, port));
  CACHECLIP_ASSIGN_OR_RETURN(RedisClientOptions options, ParseRedisUrl(process->url()));
  options.cluster_mode = ClusterMode::kNo;
  options.retry_for = absl::ZeroDuration();
  options.breaker_failures = 1 << 20;  // it is asked until it answers
  CACHECLIP_ASSIGN_OR_RETURN(const auto client, MakeRedisClient(options));
  for (const absl::Time end = absl::Now() + kStartTimeout; absl::Now() < end; absl::SleepFor(kPollInterval)) {
    if (client->Execute({.args = {"PING"}, .key_index = 0}).ok()) return process;
    siginfo_t ended{};
    if (::waitid(P_PID, pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == pid) break;
  }
  return absl::UnavailableError("redis-server is not on PATH, or does not answer on 127.0.0.1");
}

RedisProcess::~RedisProcess() {
  ::kill(pid_, SIGKILL);  // it has nothing to lose
  ::waitpid(pid_, nullptr, 0);
}

std::string RedisProcess::url() const { return absl::StrCat("redis://127.0.0.1:", port_); }

}  // namespace cacheclip
