#include "common/telemetry/metrics_endpoint.h"

#include <string>

#include <curl/curl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace cacheclip {
namespace {

using testing::HasSubstr;

size_t Append(char* data, size_t size, size_t count, void* out) {
  static_cast<std::string*>(out)->append(data, size * count);
  return size * count;
}

std::string Fetch(const std::string& url) {
  std::string body;
  CURL* curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_cleanup(curl);
  return code == CURLE_OK ? body : curl_easy_strerror(code);
}

TEST(MetricsEndpoint, ServesTheTextOnAFreePort) {
  Metrics metrics;
  metrics.RecordGenerationError("internal");
  auto endpoint = MetricsEndpoint::Start("127.0.0.1", 0, &metrics);
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  ASSERT_GT((*endpoint)->port(), 0);
  EXPECT_THAT(Fetch(absl::StrCat("http://127.0.0.1:", (*endpoint)->port(), "/metrics")),
              HasSubstr("cacheclip_request_failures_total{reason=\"internal\"} 1"));
}

TEST(MetricsEndpoint, SaysWhichPortIsTaken) {
  Metrics metrics;
  auto first = MetricsEndpoint::Start("127.0.0.1", 0, &metrics);
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = MetricsEndpoint::Start("127.0.0.1", (*first)->port(), &metrics);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(absl::StrCat((*first)->port())));
}

}  // namespace
}  // namespace cacheclip
