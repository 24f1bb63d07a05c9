#include "common/redis/byte_stream.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

absl::Status SocketError(std::string_view what, int error) {
  return absl::UnavailableError(absl::StrCat(std::string(what), ": ", std::strerror(error)));
}

class TcpStream : public ByteStream {
 public:
  explicit TcpStream(int fd) : fd_(fd) {}
  ~TcpStream() override { ::close(fd_); }

  absl::StatusOr<size_t> Read(std::span<std::byte> out) override {
    while (true) {
      const ssize_t count = ::recv(fd_, out.data(), out.size(), 0);
      if (count > 0) return static_cast<size_t>(count);
      if (count == 0) return absl::UnavailableError("the server closed the connection");
      if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
      if (errno != EINTR) return SocketError("reading", errno);
    }
  }

  absl::StatusOr<size_t> Write(std::string_view bytes) override {
    while (true) {
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count >= 0) return static_cast<size_t>(count);
      if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
      if (errno != EINTR) return SocketError("writing", errno);
    }
  }

  int fd() const override { return fd_; }

 private:
  const int fd_;
};

struct Resolution {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_done = false;
  int error = 0;
  AddressList addresses{nullptr, &freeaddrinfo};
};

int Resolve(const RedisEndpoint& endpoint, int flags, AddressList& addresses) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
  if (error == 0) addresses.reset(found);
  return error;
}

// getaddrinfo() knows no deadline: it runs on a thread that outlives this call if the name server is late.
absl::StatusOr<AddressList> ResolveBy(const RedisEndpoint& endpoint, absl::Time deadline) {
  AddressList numeric(nullptr, &freeaddrinfo);
  if (Resolve(endpoint, AI_NUMERICHOST, numeric) == 0) return numeric;
  auto resolution = std::make_shared<Resolution>();
  std::thread([resolution, endpoint] {
    AddressList addresses(nullptr, &freeaddrinfo);
    const int error = Resolve(endpoint, AI_ADDRCONFIG, addresses);
    std::lock_guard lock(resolution->mutex);
    resolution->error = error;
    resolution->addresses = std::move(addresses);
    resolution->is_done = true;
    resolution->changed.notify_all();
  }).detach();
  std::unique_lock lock(resolution->mutex);
  const bool is_done =
      resolution->changed.wait_until(lock, absl::ToChronoTime(deadline), [&] { return resolution->is_done; });
  if (!is_done)
    return absl::DeadlineExceededError(absl::StrCat("the name ", endpoint.host, " was not resolved in time"));
  if (resolution->error != 0)
    return absl::UnavailableError(
        absl::StrCat("the name ", endpoint.host, " is not known: ", ::gai_strerror(resolution->error)));
  return std::move(resolution->addresses);
}

absl::StatusOr<std::unique_ptr<ByteStream>> ConnectAddress(const addrinfo& address, absl::Time deadline) {
  const int fd = ::socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return SocketError("socket", errno);
  auto stream = std::make_unique<TcpStream>(fd);
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
  if (::connect(fd, address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return SocketError("connecting", errno);
    CACHECLIP_RETURN_IF_ERROR(WaitForStream(fd, /*for_writing=*/true, deadline));
    int error = 0;
    socklen_t error_bytes = sizeof error;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes);
    if (error != 0) return SocketError("connecting", error);
  }
  return stream;
}

}  // namespace

absl::Status WaitForStream(int fd, bool for_writing, absl::Time deadline) {
  // A connection being read is always watched for input too: a server that closes must be noticed.
  pollfd entry{fd, static_cast<short>(for_writing ? POLLIN | POLLOUT : POLLIN), 0};
  while (true) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError("Redis did not answer in time");
    const int64_t milliseconds = absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1)));
    const int ready = ::poll(&entry, 1, static_cast<int>(std::min<int64_t>(milliseconds, 60'000)));
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return SocketError("poll", errno);
  }
}

bool HasInput(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) != 0;
}

absl::StatusOr<std::unique_ptr<ByteStream>> ConnectTcp(const RedisEndpoint& endpoint, absl::Time deadline) {
  CACHECLIP_ASSIGN_OR_RETURN(const AddressList addresses, ResolveBy(endpoint, deadline));
  absl::Status failure = absl::UnavailableError("no address");
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    auto stream = ConnectAddress(*address, deadline);
    if (stream.ok()) return stream;
    failure = stream.status();
  }
  return failure;
}

}  // namespace cacheclip
