#include "common/rpc/generation_client.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cacheclip/v1/generation.grpc.pb.h"
#include "common/base/status.h"
#include "common/rpc/rpc_server.h"

namespace cacheclip {
namespace {

using EventWriter = grpc::ServerWriter<v1::GenerateResponse>;

// Streams what the test says.
class ScriptedGeneration final : public v1::GenerationService::Service {
 public:
  using Script = std::function<grpc::Status(EventWriter&)>;
  explicit ScriptedGeneration(Script script) : script_(std::move(script)) {}
  grpc::Status Generate(grpc::ServerContext*, const v1::GenerateRequest*, EventWriter* writer) override {
    return script_(*writer);
  }
  grpc::Status Tokenize(grpc::ServerContext*, const v1::TokenizeRequest*,
                        v1::TokenizeResponse* response) override {
    response->add_token_ids(1);  // without its span
    return grpc::Status::OK;
  }

 private:
  const Script script_;
};

v1::GenerateResponse Accepted() {
  v1::GenerateResponse event;
  event.mutable_accepted()->set_request_id("id");
  return event;
}

v1::GenerateResponse Token(int id) {
  v1::GenerateResponse event;
  event.mutable_token()->set_token_id(id);
  return event;
}

class GenerationClientTest : public testing::Test {
 protected:
  void Serve(ScriptedGeneration::Script script) {
    std::vector<RpcService> services;
    services.emplace_back("cacheclip.v1.GenerationService",
                          std::make_unique<ScriptedGeneration>(std::move(script)));
    server_ = *RpcServer::Start({}, std::move(services));
    client_ = std::make_unique<GenerationClient>(*MakeChannel({.target = server_->target()}));
  }

  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<GenerationClient> client_;
};

TEST_F(GenerationClientTest, CollectsTheStream) {
  Serve([](EventWriter& writer) {
    writer.Write(Accepted());
    writer.Write(Token(4));
    writer.Write(Token(5));
    v1::GenerateResponse finished;
    finished.mutable_finished()->set_finish_reason(v1::FINISH_REASON_LENGTH);
    finished.mutable_finished()->set_text("answer");
    writer.Write(finished);
    return grpc::Status::OK;
  });
  std::string accepted;
  int num_tokens = 0;
  const auto result = client_->Generate({}, CancellationToken(),
                                        {.on_accepted = [&](const std::string& id) { accepted = id; },
                                         .on_token = [&](const TokenEvent&) { ++num_tokens; }});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(accepted, "id");
  EXPECT_EQ(num_tokens, 2);
  EXPECT_EQ(result->token_ids, (std::vector<int32_t>{4, 5}));
  EXPECT_EQ(result->finish_reason, FinishReason::kLength);
  EXPECT_EQ(result->text, "answer");
}

TEST_F(GenerationClientTest, AnErrorEventIsAStatus) {
  Serve([](EventWriter& writer) {
    writer.Write(Accepted());
    v1::GenerateResponse error;
    error.mutable_error()->set_code(4);
    error.mutable_error()->set_message("too late");
    writer.Write(error);
    return grpc::Status::OK;
  });
  EXPECT_EQ(client_->Generate({}, CancellationToken()).status(), absl::DeadlineExceededError("too late"));
}

TEST_F(GenerationClientTest, AStreamWithoutATerminalEventIsAnError) {
  Serve([](EventWriter& writer) {
    writer.Write(Accepted());
    return grpc::Status::OK;
  });
  EXPECT_EQ(client_->Generate({}, CancellationToken()).status().code(), absl::StatusCode::kInternal);
}

TEST_F(GenerationClientTest, NamesTheTextThatIsNotUtf8BeforeItIsSent) {
  Serve([](EventWriter&) { return grpc::Status::OK; });
  GenerateRequest request;
  request.messages = {{"user", "fine"}, {"user", "\xff"}};
  EXPECT_EQ(FieldOf(client_->Generate(request, CancellationToken()).status()), "messages[1].content");
}

TEST_F(GenerationClientTest, RefusesIdsWithoutSpans) {
  Serve([](EventWriter&) { return grpc::Status::OK; });
  EXPECT_EQ(client_->Tokenize("text").status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace cacheclip
