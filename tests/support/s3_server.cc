#include "tests/support/s3_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/go_program.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

std::string Program() { return GoProgram("versitygw"); }

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

int FreePort() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof address;
  if (::bind(socket, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    std::abort();
  ::close(socket);
  return ntohs(address.sin_port);
}

bool Accepts(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  const bool is_connected =
      ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return is_connected;
}

}  // namespace

bool S3Server::IsInstalled() { return ::access(Program().c_str(), X_OK) == 0; }

S3Server& S3Server::Plain() {
  static S3Server server(false);
  return server;
}

S3Server& S3Server::Tls() {
  static S3Server server(true);
  return server;
}

S3Server::S3Server(bool with_tls) : with_tls_(with_tls) {
  std::filesystem::create_directory(folder_.path() + "/data");
  if (with_tls_) {
    certificate_ = folder_.path() + "/certificate.pem";
    key_ = folder_.path() + "/key.pem";
    const CommandResult made = RunCommand(
        {"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key_, "-out", certificate_},
        folder_.path() + "/openssl.log");
    if (made.status != 0) std::abort();
  }
  for (int attempt = 0; attempt < 3 && process_ == nullptr; ++attempt) Start();
  if (process_ == nullptr) std::abort();
}

// Somebody else may take the free port before the server does: then the server ends, and another is tried.
void S3Server::Start() {
  port_ = FreePort();
  std::vector<std::string> command = {"/usr/bin/env",
                                      std::string("ROOT_ACCESS_KEY=") + kAccessKey,
                                      std::string("ROOT_SECRET_KEY=") + kSecretKey,
                                      Program(),
                                      "--port",
                                      address(),
                                      "--virtual-domain",
                                      "localhost",
                                      "--keep-alive",
                                      "--quiet"};
  if (with_tls_) command.insert(command.end(), {"--cert", certificate_, "--key", key_});
  command.insert(command.end(), {"posix", folder_.path() + "/data"});
  process_ = std::make_unique<Subprocess>(command, folder_.path() + "/server.log");
  if (!PollUntil([&] { return Accepts(port_); })) process_ = nullptr;
}

std::string S3Server::MakeBucket() {
  const std::string name = "bucket-" + std::to_string(++num_buckets_);
  std::filesystem::create_directory(folder_.path() + "/data/" + name);
  return name;
}

std::string S3Server::ObjectFile(const std::string& bucket, const std::string& key) const {
  return folder_.path() + "/data/" + bucket + "/" + key;
}

std::string S3Server::address() const { return "127.0.0.1:" + std::to_string(port_); }
std::string S3Server::endpoint() const { return (with_tls_ ? "https://" : "http://") + address(); }
std::string S3Server::named_endpoint() const {
  return (with_tls_ ? "https://localhost:" : "http://localhost:") + std::to_string(port_);
}

}  // namespace cacheclip
