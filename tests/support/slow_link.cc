#include "tests/support/slow_link.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/go_program.h"
#include "tests/support/poll.h"
#include "tests/support/redis_server.h"

namespace cacheclip {
namespace {

size_t Ignore(char*, size_t size, size_t count, void*) { return size * count; }

}  // namespace

bool SlowLink::IsInstalled() { return ::access(GoProgram("toxiproxy-server").c_str(), X_OK) == 0; }

SlowLink::SlowLink(int server_port) : control_port_(FreePort()), port_(FreePort()) {
  const std::vector<std::string> command = {
      "/usr/bin/env", "LOG_LEVEL=error", GoProgram("toxiproxy-server"), "-host",
      "127.0.0.1",    "-port",           absl::StrCat(control_port_)};
  process_ = std::make_unique<Subprocess>(command, folder_.path() + "/stderr");
  if (!PollUntil([this] { return Call("GET", "/version", "") == 200; })) std::abort();
  const std::string proxy = absl::StrCat(R"({"name":"link","listen":"127.0.0.1:)", port_,
                                         R"(","upstream":"127.0.0.1:)", server_port, R"("})");
  if (Call("POST", "/proxies", proxy) != 201) std::abort();
}

void SlowLink::LimitTo(int64_t bytes_per_second) {
  Set("bandwidth", absl::StrCat(R"({"rate":)", std::max<int64_t>(1, bytes_per_second / 1000), "}"));
}

void SlowLink::Delay(int milliseconds) { Set("latency", absl::StrCat(R"({"latency":)", milliseconds, "}")); }

void SlowLink::Stall() { Set("timeout", R"({"timeout":0})"); }

void SlowLink::Restore() {
  if (has_toxic_ && Call("DELETE", "/proxies/link/toxics/fault", "") != 204) std::abort();
  has_toxic_ = false;
}

void SlowLink::Set(const std::string& type, const std::string& attributes) {
  Restore();
  const std::string toxic = absl::StrCat(R"({"name":"fault","stream":"downstream","type":")", type,
                                         R"(","attributes":)", attributes, "}");
  if (Call("POST", "/proxies/link/toxics", toxic) != 200) std::abort();
  has_toxic_ = true;
}

long SlowLink::Call(const std::string& method, const std::string& path, const std::string& body) const {
  CURL* curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, absl::StrCat("http://127.0.0.1:", control_port_, path).c_str());
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method.c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Ignore);
  if (!body.empty()) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.c_str());
  long status = 0;
  if (curl_easy_perform(curl) == CURLE_OK) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_cleanup(curl);
  return status;
}

}  // namespace cacheclip
