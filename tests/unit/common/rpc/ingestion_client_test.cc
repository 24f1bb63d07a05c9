#include "common/rpc/ingestion_client.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cacheclip/v1/ingestion.grpc.pb.h"
#include "common/base/status.h"
#include "common/rpc/rpc_server.h"
#include "common/rpc/status_mapping.h"

namespace cacheclip {
namespace {

using IngestStream = grpc::ServerReaderWriter<v1::IngestDocumentsResponse, v1::IngestDocumentsRequest>;

// Answers each document with progress and a result; knows no namespace.
class EchoIngestion final : public v1::IngestionService::Service {
  grpc::Status IngestDocuments(grpc::ServerContext*, IngestStream* stream) override {
    v1::IngestDocumentsRequest message;
    v1::IngestDocumentsResponse summary;
    while (stream->Read(&message)) {
      if (!message.has_document()) continue;
      v1::IngestDocumentsResponse event;
      event.mutable_progress()->set_document_id(message.document().document_id());
      stream->Write(event);
      event.mutable_result()->set_document_id(message.document().document_id());
      stream->Write(event);
      summary.mutable_summary()->set_num_documents(summary.summary().num_documents() + 1);
    }
    if (summary.has_summary()) stream->Write(summary);
    return grpc::Status::OK;
  }
  grpc::Status GetNamespace(grpc::ServerContext* context, const v1::GetNamespaceRequest* request,
                            v1::GetNamespaceResponse*) override {
    return ToGrpcStatus(FieldError(absl::StatusCode::kNotFound, "namespace", request->name()), context);
  }
};

class IngestionClientTest : public testing::Test {
 protected:
  IngestionClientTest() {
    std::vector<RpcService> services;
    services.emplace_back("cacheclip.v1.IngestionService", std::make_unique<EchoIngestion>());
    server_ = *RpcServer::Start({}, std::move(services));
    client_ = std::make_unique<IngestionClient>(*MakeChannel({.target = server_->target()}));
  }

  absl::StatusOr<IngestTotals> IngestSome(int count, std::vector<std::string>* results, int* num_progress) {
    int next = 0;
    return client_->Ingest(
        {},
        [&](SourceDocument* document) {
          document->document_id = std::to_string(next);
          return next++ < count;
        },
        {.on_progress = [&](const DocumentProgress&) { ++*num_progress; },
         .on_result = [&](const DocumentResult& done) { results->push_back(done.document_id); }});
  }

  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<IngestionClient> client_;
};

TEST_F(IngestionClientTest, ReportsEveryDocumentInOrderAndTheSum) {
  std::vector<std::string> results;
  int num_progress = 0;
  const auto totals = IngestSome(3, &results, &num_progress);
  ASSERT_TRUE(totals.ok()) << totals.status();
  EXPECT_EQ(totals->num_documents, 3);
  EXPECT_EQ(results, (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(num_progress, 3);
}

TEST_F(IngestionClientTest, AStreamWithoutASummaryIsAnError) {
  std::vector<std::string> results;
  int num_progress = 0;
  EXPECT_EQ(IngestSome(0, &results, &num_progress).status().code(), absl::StatusCode::kInternal);
}

TEST_F(IngestionClientTest, ErrorsKeepTheirField) {
  EXPECT_EQ(client_->GetNamespace("nowhere").status(),
            FieldError(absl::StatusCode::kNotFound, "namespace", "nowhere"));
  EXPECT_EQ(client_->ListNamespaces().status().code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace cacheclip
