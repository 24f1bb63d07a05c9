#include "common/store/object/http_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "tests/support/fault_proxy.h"
#include "tests/support/object_harness.h"
#include "tests/support/poll.h"

namespace cacheclip {
namespace {

class HttpClientTest : public testing::Test {
 protected:
  std::unique_ptr<HttpClient> Client(HttpClientOptions options = {}) {
    return HttpClient::Create(options).value();
  }
  HttpRequest Get() {
    HttpRequest request;
    request.method = "GET";
    request.url = server_.endpoint() + "/x";
    return request;
  }
  void Answer(const Fault& fault) {
    server_.Decide([fault](const ProxyRequest&) { return fault; });
  }
  absl::Status StatusOf(const HttpRequest& request) { return Client()->Send(request, NoDeadline()).status(); }

  FaultProxy server_;
};

TEST_F(HttpClientTest, SendsBodiesAndReturnsAnswersOfAnyStatus) {
  Answer(Fault::Respond(404, "not here"));
  const std::string body(3 << 20, 'b');
  HttpRequest request = Get();
  request.method = "PUT";
  request.body = BytesOf(body);
  request.headers = {"X-Test: value"};
  const HttpResponse response = Client()->Send(request, NoDeadline()).value();
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, "not here");
  EXPECT_EQ(response.Header("content-length"), "8");
  EXPECT_EQ(response.Header("absent"), "");
  const ProxyRequest seen = server_.requests().at(0);
  EXPECT_EQ(seen.body, body);
  EXPECT_EQ(seen.headers.at("x-test"), "value");
  EXPECT_EQ(seen.headers.count("expect"), 0u);
}

TEST_F(HttpClientTest, SuccessfulBodiesGoWhereTheCallerWantsThem) {
  Answer(Fault::Respond(200, "12345"));
  std::vector<std::byte> out(8);
  HttpRequest request = Get();
  request.out = out;
  const HttpResponse response = Client()->Send(request, NoDeadline()).value();
  EXPECT_EQ(response.num_out_bytes, 5);
  EXPECT_EQ(static_cast<char>(out[4]), '5');
  EXPECT_EQ(response.body, "");
}

TEST_F(HttpClientTest, SignsWithoutShowingTheSecret) {
  Answer(Fault::Respond(200));
  HttpRequest request = Get();
  request.headers = {"x-amz-content-sha256: UNSIGNED-PAYLOAD"};
  request.signing = AwsSigning{"s3", "eu-west-1", "the-id", "the-secret", "the-token"};
  ASSERT_TRUE(Client()->Send(request, NoDeadline()).ok());
  const ProxyRequest seen = server_.requests().at(0);
  const std::string authorization = seen.headers.at("authorization");
  EXPECT_TRUE(authorization.starts_with("AWS4-HMAC-SHA256 Credential=the-id/")) << authorization;
  EXPECT_NE(authorization.find("/eu-west-1/s3/aws4_request"), std::string::npos);
  EXPECT_NE(authorization.find("x-amz-security-token"), std::string::npos) << "the token is signed";
  EXPECT_EQ(seen.headers.at("x-amz-security-token"), "the-token");
  for (const auto& [name, value] : seen.headers)
    EXPECT_EQ(value.find("the-secret"), std::string::npos) << name;
}

TEST_F(HttpClientTest, BrokenAnswersAreUnavailable) {
  std::vector<std::byte> out(64);
  HttpRequest request = Get();
  request.out = out;
  const std::string cut = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n12345";
  const std::string headers =
      "HTTP/1.1 200 OK\r\nX: " + std::string(80 << 10, 'x') + "\r\nContent-Length: 0\r\n\r\n";
  for (const Fault& fault :
       {Fault::Reset(), Fault::Endless(), Fault::Respond(200, std::string(65, 'x')),
        Fault{Fault::Kind::kRespond, cut, 0}, Fault{Fault::Kind::kRespond, headers, 0},
        Fault{Fault::Kind::kRespond, "nonsense\r\n\r\n", 0}, Fault{Fault::Kind::kRespond, "", 0}}) {
    Answer(fault);
    EXPECT_TRUE(absl::IsUnavailable(StatusOf(request))) << static_cast<int>(fault.kind) << StatusOf(request);
  }
  request.out = {};
  Answer(Fault::Endless());
  EXPECT_TRUE(absl::IsUnavailable(StatusOf(request))) << "bounded without a buffer too";
}

TEST_F(HttpClientTest, NobodyListeningIsUnavailable) {
  HttpRequest request = Get();
  {
    FaultProxy gone;
    request.url = gone.endpoint();
  }
  EXPECT_TRUE(absl::IsUnavailable(StatusOf(request)));
}

TEST_F(HttpClientTest, AStalledAnswerEndsAtTheDeadlineOrTheLimit) {
  Answer(Fault::Stall());
  const CancellationToken token(absl::Now() + absl::Milliseconds(100));
  EXPECT_TRUE(absl::IsDeadlineExceeded(Client()->Send(Get(), token).status()));
  EXPECT_TRUE(absl::IsUnavailable(
      Client({.max_request_time = absl::Milliseconds(100)})->Send(Get(), NoDeadline()).status()));
  EXPECT_TRUE(
      absl::IsUnavailable(Client({.stall_timeout = absl::Seconds(1)})->Send(Get(), NoDeadline()).status()));
}

TEST_F(HttpClientTest, CancellationEndsAStalledRequest) {
  Answer(Fault::Stall());
  CancellationToken token;
  std::thread canceller([&] {
    EXPECT_TRUE(PollUntil([&] { return server_.requests().size() == 1; }));
    token.Cancel();
  });
  EXPECT_TRUE(absl::IsCancelled(Client()->Send(Get(), token).status()));
  canceller.join();
}

TEST_F(HttpClientTest, RequestsBeyondThePoolWaitForTheirTurn) {
  const auto client = Client({.max_connections = 2});
  server_.Decide([&](const ProxyRequest&) { return Fault::Respond(200); });
  std::vector<std::thread> threads;
  std::atomic<int> num_ok{0};
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      CancellationToken token(absl::InfiniteFuture(), [&] { return false; });
      if (client->Send(Get(), token).ok()) ++num_ok;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_ok, 8);

  Answer(Fault::Stall());
  CancellationToken first;
  std::thread holder1([&] { EXPECT_TRUE(absl::IsCancelled(client->Send(Get(), first).status())); });
  std::thread holder2([&] { EXPECT_TRUE(absl::IsCancelled(client->Send(Get(), first).status())); });
  EXPECT_TRUE(PollUntil([&] { return server_.requests().size() == 10; }));
  const CancellationToken late(absl::Now() + absl::Milliseconds(50));
  EXPECT_TRUE(absl::IsDeadlineExceeded(client->Send(Get(), late).status()));
  EXPECT_EQ(server_.requests().size(), 10u) << "the third was never sent";
  first.Cancel();
  holder1.join();
  holder2.join();
}

TEST_F(HttpClientTest, RefusesBadOptionsByName) {
  EXPECT_EQ(FieldOf(HttpClient::Create({.tls_ca = "/nowhere/ca.pem"}).status()), "s3_tls_ca");
  EXPECT_EQ(FieldOf(HttpClient::Create({.max_connections = 0}).status()), "max_connections");
}

TEST_F(HttpClientTest, OnlyHttpIsSpoken) {
  HttpRequest request = Get();
  request.url = "file:///etc/passwd";
  EXPECT_FALSE(StatusOf(request).ok());
}

}  // namespace
}  // namespace cacheclip
