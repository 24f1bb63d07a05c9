// A server on loopback that does exactly what a test tells it: each connection is handed to the script on a
// thread of its own, which reads and answers bytes as it likes. For answers that no real server gives on
// demand. Belongs to one test; the script must be safe to run on several threads.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace cacheclip {

class ScriptedConnection {
 public:
  explicit ScriptedConnection(int fd) : fd_(fd) {}
  // Waits for bytes; "" when the client has gone.
  std::string Receive() {
    std::string block(1 << 16, '\0');
    const ssize_t count = ::recv(fd_, block.data(), block.size(), 0);
    block.resize(count > 0 ? count : 0);
    return block;
  }
  void Send(std::string_view bytes) { (void)!::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

 private:
  const int fd_;
};

class ScriptedServer {
 public:
  using Script = std::function<void(ScriptedConnection& connection)>;  // the connection ends when it returns
  explicit ScriptedServer(Script script)
      : script_(std::move(script)), fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd_, 16) != 0 ||
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      std::abort();
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }
  ~ScriptedServer() {
    ::shutdown(fd_, SHUT_RDWR);
    acceptor_.join();
    {
      std::lock_guard lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
    ::close(fd_);
  }
  int port() const { return port_; }
  int num_connections() const { return num_connections_; }

 private:
  void Accept() {
    for (int fd = 0; (fd = ::accept(fd_, nullptr, nullptr)) >= 0;) {
      ++num_connections_;
      std::lock_guard lock(mutex_);
      open_.push_back(fd);
      threads_.emplace_back([this, fd] {
        ScriptedConnection connection(fd);
        script_(connection);
        std::lock_guard inner(mutex_);
        std::erase(open_, fd);
        ::close(fd);
      });
    }
  }

  const Script script_;
  const int fd_;
  int port_ = 0;
  std::atomic<int> num_connections_{0};
  std::mutex mutex_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace cacheclip
