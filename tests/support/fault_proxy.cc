#include "tests/support/fault_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace cacheclip {
namespace {

constexpr char kHeadEnd[] = "\r\n\r\n";

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool SendAll(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(sent);
  }
  return true;
}

// `text` from `body_at` on in pieces; ends early when the other side goes.
void SendSlowly(int socket, std::string_view text, size_t body_at, const Fault& fault) {
  if (!SendAll(socket, text.substr(0, body_at))) return;
  for (size_t at = body_at; at < text.size(); at += fault.num_bytes) {
    if (!SendAll(socket, text.substr(at, fault.num_bytes))) return;
    pollfd gone{socket, POLLRDHUP, 0};
    if (::poll(&gone, 1, fault.pause_milliseconds) != 0) return;
  }
}

bool ReceiveSome(int socket, std::string& text) {
  char block[65536];
  const ssize_t count = ::recv(socket, block, sizeof block, 0);
  if (count <= 0) return false;
  text.append(block, count);
  return true;
}

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// Parses the head of `raw`, of which the blank line is there.
ProxyRequest ParseHead(const std::string& raw) {
  ProxyRequest request;
  const std::string head = raw.substr(0, raw.find(kHeadEnd) + 2);
  const size_t line_end = head.find("\r\n");
  const size_t first = head.find(' '), second = head.find(' ', first + 1);
  request.method = head.substr(0, first);
  request.target = head.substr(first + 1, second - first - 1);
  for (size_t at = line_end + 2; at < head.size();) {
    const size_t end = head.find("\r\n", at);
    const std::string line = head.substr(at, end - at);
    const size_t colon = line.find(':');
    const size_t value = line.find_first_not_of(' ', colon + 1);
    request.headers[Lower(line.substr(0, colon))] = value == line.npos ? "" : line.substr(value);
    at = end + 2;
  }
  return request;
}

// Receives one request; false if the client went before it was whole.
bool ReceiveRequest(int client, std::string& raw, ProxyRequest& request) {
  while (raw.find(kHeadEnd) == raw.npos)
    if (!ReceiveSome(client, raw)) return false;
  request = ParseHead(raw);
  const size_t body_at = raw.find(kHeadEnd) + 4;
  const size_t body_bytes = std::strtoull(request.headers["content-length"].c_str(), nullptr, 10);
  while (raw.size() < body_at + body_bytes)
    if (!ReceiveSome(client, raw)) return false;
  request.body = raw.substr(body_at);
  return true;
}

void CloseWithReset(int socket) {
  const linger now{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace

Fault Fault::Respond(int status, const std::string& body) {
  return {Kind::kRespond,
          "HTTP/1.1 " + std::to_string(status) + " Test\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\nConnection: close\r\n\r\n" + body,
          0};
}

FaultProxy::FaultProxy(std::string upstream)
    : upstream_(std::move(upstream)), decision_([](const ProxyRequest&) { return Fault::Pass(); }) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    std::abort();
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

FaultProxy::~FaultProxy() {
  is_stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  std::unique_lock lock(mutex_);
  for (const auto& [client, thread] : threads_) ::shutdown(client, SHUT_RDWR);
  while (!threads_.empty() || !finished_.empty()) {
    served_.wait(lock, [this] { return !finished_.empty(); });
    JoinFinished(lock);
  }
}

void FaultProxy::JoinFinished(std::unique_lock<std::mutex>& lock) {
  std::vector<std::thread> finished = std::exchange(finished_, {});
  lock.unlock();
  for (std::thread& thread : finished) thread.join();
  lock.lock();
}

void FaultProxy::KeepNoRequests() {
  std::lock_guard lock(mutex_);
  keeps_requests_ = false;
  requests_.clear();
}

void FaultProxy::Decide(Decision decision) {
  std::lock_guard lock(mutex_);
  decision_ = std::move(decision);
}

std::string FaultProxy::endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }

std::vector<ProxyRequest> FaultProxy::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

void FaultProxy::Accept() {
  for (;;) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0 || is_stopping_) {
      if (client >= 0) ::close(client);
      return;
    }
    std::unique_lock lock(mutex_);
    JoinFinished(lock);
    threads_[client] = std::thread([this, client] { Serve(client); });
  }
}

void FaultProxy::Serve(int client) {
  std::string raw;
  ProxyRequest request;
  if (ReceiveRequest(client, raw, request)) {
    Fault fault;
    {
      std::lock_guard lock(mutex_);
      request.number = num_requests_++;
      if (keeps_requests_) requests_.push_back(request);
      fault = decision_(request);
    }
    Carry(client, raw, fault);
  }
  std::lock_guard lock(mutex_);
  finished_.push_back(std::move(threads_[client]));
  threads_.erase(client);
  ::close(client);
  served_.notify_all();
}

void FaultProxy::Carry(int client, const std::string& raw, const Fault& fault) {
  switch (fault.kind) {
    case Fault::Kind::kRespond:
      SendAll(client, fault.response);
      return;
    case Fault::Kind::kReset:
      CloseWithReset(client);
      return;
    case Fault::Kind::kStall:
      for (std::string ignored; ReceiveSome(client, ignored);) {
      }
      return;
    case Fault::Kind::kEndless:
      SendAll(client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
      while (!is_stopping_ && SendAll(client, std::string(65536, 'x'))) {
      }
      return;
    case Fault::Kind::kLose:
      Ask(raw);
      return;
    default:
      break;
  }
  std::string answer = Ask(raw);
  const size_t body_at = answer.find(kHeadEnd) + 4;
  if (fault.kind == Fault::Kind::kCut) answer.resize(std::min(answer.size(), body_at + fault.num_bytes));
  if (fault.kind == Fault::Kind::kFlip && answer.size() > body_at)
    answer[body_at + fault.num_bytes % (answer.size() - body_at)] ^= 1;
  if (fault.kind == Fault::Kind::kTrickle)
    SendSlowly(client, answer, std::min(answer.size(), body_at), fault);
  else
    SendAll(client, answer);
}

// The whole answer of the real server, which closes the connection behind it.
std::string FaultProxy::Ask(const std::string& raw) {
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(std::atoi(upstream_.substr(upstream_.find(':') + 1).c_str()));
  std::string answer;
  std::string closing = raw;
  closing.insert(closing.find("\r\n") + 2, "Connection: close\r\n");
  if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      SendAll(server, closing))
    while (ReceiveSome(server, answer)) {
    }
  ::close(server);
  return answer;
}

}  // namespace cacheclip
