// An HTTP server of the test's own that misbehaves as told: it passes requests on to a real server, answers
// them itself, or fails them in the ways networks and overloaded servers do. What to do with a request is
// decided by a function that the test gives and may change at any time.
//
//   FaultProxy proxy(S3Server::Plain().address());
//   proxy.Decide([](const ProxyRequest& r) { return r.number < 2 ? Fault::Respond(503) : Fault::Pass(); });
//   options.endpoint = proxy.endpoint();
//
// One request per connection. Thread-safe; the deciding function is called by one thread at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace cacheclip {

struct ProxyRequest {
  int number = 0;  // 0, 1, 2, … in order of arrival
  std::string method, target;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;
};

struct Fault {
  enum class Kind {
    kPass,     // on to the real server
    kRespond,  // `response`, a whole HTTP response
    kCut,      // pass, but close after `num_bytes` of the response's body
    kFlip,     // pass, but flip a bit of the response's body at `num_bytes`
    kReset,    // a TCP reset instead of an answer
    kStall,    // no answer, connection open until the client goes
    kEndless,  // a response whose body never ends
    kTrickle,  // pass, but the answer's body comes `num_bytes` at a time with a pause after each
    kLose,     // pass the request on, then close without passing its answer back
  };
  Kind kind = Kind::kPass;
  std::string response;
  int64_t num_bytes = 0;
  int pause_milliseconds = 0;

  static Fault Pass() { return {}; }
  static Fault Respond(int status, const std::string& body = "");
  static Fault Cut(int64_t num_bytes) { return {Kind::kCut, "", num_bytes}; }
  static Fault Flip(int64_t at) { return {Kind::kFlip, "", at}; }
  static Fault Reset() { return {Kind::kReset, "", 0}; }
  static Fault Stall() { return {Kind::kStall, "", 0}; }
  static Fault Endless() { return {Kind::kEndless, "", 0}; }
  static Fault Trickle(int64_t num_bytes, int pause_milliseconds) {
    return {Kind::kTrickle, "", num_bytes, pause_milliseconds};
  }
  static Fault Lose() { return {Kind::kLose, "", 0}; }
};

class FaultProxy {
 public:
  using Decision = std::function<Fault(const ProxyRequest&)>;

  explicit FaultProxy(std::string upstream = "");  // "127.0.0.1:port"; without one nothing can be passed on
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  void Decide(Decision decision);              // passes everything on until told otherwise
  std::string endpoint() const;                // "http://127.0.0.1:port"
  std::vector<ProxyRequest> requests() const;  // so far, in order
  void KeepNoRequests();                       // from here on: for tests that send very many

 private:
  void Accept();
  void Serve(int client);
  void Carry(int client, const std::string& raw, const Fault& fault);
  std::string Ask(const std::string& raw);
  void JoinFinished(std::unique_lock<std::mutex>& lock);  // lets go of it meanwhile

  const std::string upstream_;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> is_stopping_{false};
  mutable std::mutex mutex_;
  std::condition_variable served_;
  Decision decision_;
  std::vector<ProxyRequest> requests_;
  bool keeps_requests_ = true;
  int num_requests_ = 0;
  std::map<int, std::thread> threads_;  // by open socket
  std::vector<std::thread> finished_;   // to be joined
  std::thread acceptor_;
};

}  // namespace cacheclip
