#include "tests/support/redis_server.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/redis/key_slot.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

void Require(bool holds, std::string_view what) {
  if (holds) return;
  std::cerr << "test server: " << what << "\n";
  std::abort();
}

void RunOpenSsl(const std::string& folder, const std::string& arguments) {
  std::vector<std::string> command = {FindProgram("openssl")};
  for (const absl::string_view word : absl::StrSplit(arguments, ' ')) command.emplace_back(word);
  const CommandResult result = RunCommand(command, folder + "/openssl.log");
  Require(result.status == 0, "openssl " + arguments + ": " + result.error);
}

TestCertificates MakeCertificates(const std::string& folder) {
  const std::string days = " -days 30 -nodes -newkey rsa:2048";
  for (const std::string name : {"ca", "other_ca"})
    RunOpenSsl(folder, absl::StrCat("req -x509 -subj /CN=", name, days, " -keyout ", folder, "/", name,
                                    ".key -out ", folder, "/", name, ".pem"));
  std::ofstream(folder + "/names") << "subjectAltName=IP:127.0.0.1,DNS:localhost\n";
  RunOpenSsl(folder, absl::StrCat("req -subj /CN=localhost -nodes -newkey rsa:2048 -keyout ", folder,
                                  "/server.key -out ", folder, "/server.csr"));
  RunOpenSsl(folder, absl::StrCat("x509 -req -days 30 -in ", folder, "/server.csr -CA ", folder,
                                  "/ca.pem -CAkey ", folder, "/ca.key -CAcreateserial -extfile ", folder,
                                  "/names -out ", folder, "/server.pem"));
  return {folder + "/ca.pem", folder + "/server.pem", folder + "/server.key", folder + "/other_ca.pem"};
}

}  // namespace

std::string FindProgram(std::string_view name) {
  const char* path = std::getenv("PATH");
  for (const absl::string_view folder : absl::StrSplit(path == nullptr ? "" : path, ':')) {
    const std::string candidate = absl::StrCat(folder, "/", std::string(name));
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

int FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  Require(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
              ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0,
          "no free port");
  ::close(fd);
  return ntohs(address.sin_port);
}

const TestCertificates& GetTestCertificates() {
  static const TempFolder folder;
  static const TestCertificates certificates = MakeCertificates(folder.path());
  return certificates;
}

RedisServer::RedisServer(RedisServerOptions options) : options_(std::move(options)), port_(FreePort()) {
  Restart();
}

std::string RedisServer::Configuration() const {
  std::ostringstream lines;
  lines << "bind 127.0.0.1\ndir " << folder_.path() << "\nlogfile " << folder_.path() << "/redis.log\n"
        << "save \"\"\n";
  if (options_.tls) {
    const TestCertificates& files = GetTestCertificates();
    lines << "port 0\ntls-port " << port_ << "\ntls-ca-cert-file " << files.ca << "\ntls-cert-file "
          << files.certificate << "\ntls-key-file " << files.key << "\n";
  } else {
    lines << "port " << port_ << "\n";
  }
  if (!options_.user.empty()) {
    lines << "user default off\nuser " << options_.user << " on >" << options_.password << " ~* &* +@all\n";
  } else if (!options_.password.empty()) {
    lines << "requirepass " << options_.password << "\n";
  }
  for (const std::string& setting : options_.settings) lines << setting << "\n";
  return lines.str();
}

RedisClientOptions RedisServer::client_options() const {
  RedisClientOptions options;
  options.endpoints = {{"127.0.0.1", port_}};
  options.user = options_.user;
  options.password = options_.password;
  if (options_.tls) {
    const TestCertificates& files = GetTestCertificates();
    options.tls = {
        .enabled = true, .ca_file = files.ca, .certificate_file = files.certificate, .key_file = files.key};
  }
  options.cluster_mode = ClusterMode::kNo;
  return options;
}

std::string RedisServer::url() const {
  return absl::StrCat(options_.tls ? "rediss" : "redis", "://127.0.0.1:", port_);
}

std::unique_ptr<RedisClient> RedisServer::MakeClient() const {
  RedisClientOptions options = client_options();
  options.timeout = absl::Seconds(30);
  auto client = MakeRedisClient(options);
  Require(client.ok(), client.status().ToString());
  return *std::move(client);
}

bool RedisServer::IsReady() const {
  RedisClientOptions options = client_options();
  options.timeout = options.connect_timeout = absl::Milliseconds(500);
  options.retry_for = absl::ZeroDuration();
  return MakeRedisClient(options).value()->Execute({.args = {"PING"}, .key_index = 0}).ok();
}

void RedisServer::Kill() {
  if (process_ != nullptr) process_->Signal(SIGKILL);
  process_.reset();
}

void RedisServer::Start() {
  Kill();
  const std::string file = folder_.path() + "/redis.conf";
  std::ofstream(file) << Configuration();
  process_ = std::make_unique<Subprocess>(std::vector<std::string>{FindProgram("redis-server"), file},
                                          folder_.path() + "/stderr");
}

void RedisServer::Restart() {
  Start();
  const bool is_ready = PollUntil([this] { return IsReady(); });
  std::ostringstream log;
  if (!is_ready) log << std::ifstream(folder_.path() + "/redis.log").rdbuf() << process_->Stderr();
  Require(is_ready, absl::StrCat("port ", port_, " does not answer\n", log.str()));
}

void RedisServer::Pause() { process_->Signal(SIGSTOP); }
void RedisServer::Resume() { process_->Signal(SIGCONT); }

RedisCluster::RedisCluster(RedisServerOptions options, int replicas_per_primary) {
  options.settings.insert(
      options.settings.end(),
      {"cluster-enabled yes", "cluster-node-timeout 1000", "cluster-require-full-coverage no",
       "repl-diskless-sync-delay 0", "cluster-allow-replica-migration no"});
  if (options.tls)
    options.settings.insert(options.settings.end(), {"tls-cluster yes", "tls-replication yes"});
  if (!options.user.empty()) options.settings.push_back("masteruser " + options.user);
  if (!options.password.empty()) options.settings.push_back("masterauth " + options.password);
  for (int i = 0; i < kPrimaries * (1 + replicas_per_primary); ++i) {
    RedisServerOptions node = options;
    node.settings.push_back(absl::StrCat("cluster-port ", FreePort()));
    nodes_.push_back(std::make_unique<RedisServer>(std::move(node)));
  }
  Create(options, replicas_per_primary);
  Require(PollUntil([this] { return IsHealthy(); }), "the cluster does not become healthy");
}

void RedisCluster::Create(const RedisServerOptions& options, int replicas_per_primary) {
  std::vector<std::string> command = {FindProgram("redis-cli")};
  if (options.tls) {
    const TestCertificates& files = GetTestCertificates();
    command.insert(command.end(),
                   {"--tls", "--cacert", files.ca, "--cert", files.certificate, "--key", files.key});
  }
  if (!options.user.empty()) command.insert(command.end(), {"--user", options.user});
  if (!options.password.empty()) command.insert(command.end(), {"--pass", options.password});
  command.insert(command.end(), {"--cluster", "create"});
  for (const auto& node : nodes_) command.push_back(absl::StrCat("127.0.0.1:", node->port()));
  command.insert(command.end(),
                 {"--cluster-replicas", std::to_string(replicas_per_primary), "--cluster-yes"});
  const CommandResult result = RunCommand(command, folder_.path() + "/create.log");
  Require(result.status == 0, "redis-cli --cluster create: " + result.output + result.error);
}

RedisClientOptions RedisCluster::client_options() const {
  RedisClientOptions options = nodes_.front()->client_options();
  options.endpoints.clear();
  for (const auto& node : nodes_) options.endpoints.push_back({"127.0.0.1", node->port()});
  options.cluster_mode = ClusterMode::kYes;
  return options;
}

std::unique_ptr<RedisClient> RedisCluster::MakeClient() const {
  RedisClientOptions options = client_options();
  options.retry_for = absl::Seconds(30);
  auto client = MakeRedisClient(options);
  Require(client.ok(), client.status().ToString());
  return *std::move(client);
}

RedisReply RedisCluster::Ask(RedisServer& node, std::vector<std::string> args) {
  RedisClientOptions options = node.client_options();
  options.retry_for = absl::ZeroDuration();
  auto reply = MakeRedisClient(options).value()->Execute({.args = std::move(args), .key_index = 0});
  if (reply.ok()) return *std::move(reply);
  return RedisReply{.type = RedisReply::Type::kError, .text = reply.status().ToString()};
}

bool RedisCluster::IsHealthy() {
  for (const auto& node : nodes_) {
    if (!node->IsReady()) continue;
    const std::string info = Ask(*node, {"CLUSTER", "INFO"}).text;
    const std::string replication = Ask(*node, {"INFO", "replication"}).text;
    if (!absl::StrContains(info, "cluster_state:ok") || !absl::StrContains(info, "cluster_slots_ok:16384") ||
        !absl::StrContains(info, absl::StrCat("cluster_known_nodes:", nodes_.size())) ||
        absl::StrContains(replication, "master_link_status:down"))
      return false;
  }
  return true;
}

RedisServer& RedisCluster::PrimaryOf(std::string_view key) {
  const int slot = RedisKeySlot(key);
  for (const auto& asked : nodes_) {
    const RedisReply slots = Ask(*asked, {"CLUSTER", "SLOTS"});
    for (const RedisReply& range : slots.elements)
      for (const auto& node : nodes_)
        if (range.elements[0].integer <= slot && slot <= range.elements[1].integer &&
            range.elements[2].elements[1].integer == node->port() && node->IsReady())
          return *node;
  }
  Require(false, "no primary for the key");
  std::abort();
}

std::string RedisCluster::NodeId(RedisServer& node) { return Ask(node, {"CLUSTER", "MYID"}).text; }

void RedisCluster::MigrateSlotOf(std::string_view key, const std::function<void()>& step) {
  RedisServer& from = PrimaryOf(key);
  const std::string slot = std::to_string(RedisKeySlot(key));
  RedisServer* to = nullptr;
  for (const auto& node : nodes_)
    if (node.get() != &from && absl::StrContains(Ask(*node, {"INFO", "replication"}).text, "role:master"))
      to = node.get();
  Require(to != nullptr, "no other primary");
  Ask(*to, {"CLUSTER", "SETSLOT", slot, "IMPORTING", NodeId(from)});
  Ask(from, {"CLUSTER", "SETSLOT", slot, "MIGRATING", NodeId(*to)});
  bool has_stepped = false;
  while (true) {
    const RedisReply keys = Ask(from, {"CLUSTER", "GETKEYSINSLOT", slot, "1"});
    if (keys.elements.empty()) break;
    for (const RedisReply& found : keys.elements)
      Ask(from, {"MIGRATE", "127.0.0.1", std::to_string(to->port()), found.text, "0", "10000", "REPLACE"});
    if (!has_stepped) step();
    has_stepped = true;
  }
  for (const auto& node : nodes_) Ask(*node, {"CLUSTER", "SETSLOT", slot, "NODE", NodeId(*to)});
}

}  // namespace cacheclip
