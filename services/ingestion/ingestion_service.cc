#include "services/ingestion/ingestion_service.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "cacheclip/v1/ingestion.grpc.pb.h"
#include "common/base/status.h"
#include "common/rpc/conversion/ingestion_conversion.h"
#include "common/rpc/status_mapping.h"

namespace cacheclip {
namespace {

using IngestStream = grpc::ServerReaderWriter<v1::IngestDocumentsResponse, v1::IngestDocumentsRequest>;

IngestRecord RecordOf(const DocumentResult& result, absl::Duration duration) {
  const std::string outcome = !result.status.ok()
                                  ? absl::AsciiStrToLower(absl::StatusCodeToString(result.status.code()))
                                  : (result.unchanged ? "unchanged" : "stored");
  return {outcome, result.num_tokens, result.chunks_encoded, result.chunks_reused, duration};
}

void Add(v1::IngestSummary& summary, const DocumentResult& result) {
  summary.set_num_documents(summary.num_documents() + 1);
  summary.set_num_failed(summary.num_failed() + !result.status.ok());
  summary.set_num_unchanged(summary.num_unchanged() + result.unchanged);
  summary.set_num_chunks(summary.num_chunks() + result.num_chunks);
  summary.set_chunks_encoded(summary.chunks_encoded() + result.chunks_encoded);
  summary.set_chunks_reused(summary.chunks_reused() + result.chunks_reused);
  summary.set_num_tokens(summary.num_tokens() + result.num_tokens);
}

v1::Namespace NamespaceProto(const NamespaceInfo& info) {
  v1::Namespace to;
  to.set_name(info.name);
  to.set_created_unix_seconds(absl::ToUnixSeconds(info.created_time));
  for (const Prefix& prefix : info.prefixes) *to.add_prefixes() = ToProto(prefix);
  return to;
}

class Service final : public v1::IngestionService::Service {
 public:
  Service(IngestionBackend* backend, Metrics* metrics) : backend_(backend), metrics_(metrics) {}

  grpc::Status IngestDocuments(grpc::ServerContext* context, IngestStream* stream) override {
    return ToGrpcStatus(RunIngest(*stream, CancellationOf(*context)), context);
  }

  grpc::Status GetDocument(grpc::ServerContext* context, const v1::GetDocumentRequest* request,
                           v1::GetDocumentResponse* response) override {
    const absl::StatusOr<DocumentWithChunks> found =
        backend_->Get(request->namespace_name(), request->document_id());
    if (!found.ok()) return ToGrpcStatus(found.status(), context);
    v1::Document& document = *response->mutable_document();
    document = ToProto(found->document);
    for (int i = 0; i < document.chunks_size(); ++i) {
      v1::DocumentChunk& chunk = *document.mutable_chunks(i);
      chunk.set_num_tokens(found->chunks[i].num_tokens);
      chunk.set_text(found->chunks[i].text);
      chunk.set_title(found->chunks[i].title);
    }
    return grpc::Status::OK;
  }

  grpc::Status ListDocuments(grpc::ServerContext* context, const v1::ListDocumentsRequest* request,
                             v1::ListDocumentsResponse* response) override {
    const absl::StatusOr<DocumentPage> page =
        backend_->List(request->namespace_name(), request->page_size(), request->page_token());
    if (!page.ok()) return ToGrpcStatus(page.status(), context);
    for (const Document& document : page->documents) *response->add_documents() = ToProto(document);
    response->set_next_page_token(page->next_page_token);
    return grpc::Status::OK;
  }

  grpc::Status DeleteDocument(grpc::ServerContext* context, const v1::DeleteDocumentRequest* request,
                              v1::DeleteDocumentResponse*) override {
    return ToGrpcStatus(backend_->Delete(request->namespace_name(), request->document_id()), context);
  }

  grpc::Status PinChunks(grpc::ServerContext* context, const v1::PinChunksRequest* request,
                         v1::PinChunksResponse*) override {
    const std::vector<std::string> ids(request->chunk_ids().begin(), request->chunk_ids().end());
    return ToGrpcStatus(backend_->Pin(request->namespace_name(), ids, request->owner(),
                                      absl::Seconds(request->duration_seconds())),
                        context);
  }

  grpc::Status UnpinChunks(grpc::ServerContext* context, const v1::UnpinChunksRequest* request,
                           v1::UnpinChunksResponse* response) override {
    const std::vector<std::string> ids(request->chunk_ids().begin(), request->chunk_ids().end());
    const absl::StatusOr<int64_t> count = backend_->Unpin(request->namespace_name(), ids, request->owner());
    if (!count.ok()) return ToGrpcStatus(count.status(), context);
    response->set_num_unpinned(*count);
    return grpc::Status::OK;
  }

  grpc::Status PutNamespace(grpc::ServerContext* context, const v1::PutNamespaceRequest* request,
                            v1::PutNamespaceResponse* response) override {
    const PrefixSpec spec = FromProto(request->prefix());
    const absl::StatusOr<std::string> prefix_id = backend_->PutNamespace(
        request->name(), request->has_prefix() ? &spec : nullptr, request->make_default());
    if (!prefix_id.ok()) return ToGrpcStatus(prefix_id.status(), context);
    response->set_prefix_id(*prefix_id);
    const absl::StatusOr<NamespaceInfo> info = backend_->GetNamespace(request->name());
    if (info.ok()) *response->mutable_namespace_() = NamespaceProto(*info);
    return ToGrpcStatus(info.status(), context);
  }

  grpc::Status GetNamespace(grpc::ServerContext* context, const v1::GetNamespaceRequest* request,
                            v1::GetNamespaceResponse* response) override {
    const absl::StatusOr<NamespaceInfo> info = backend_->GetNamespace(request->name());
    if (info.ok()) *response->mutable_namespace_() = NamespaceProto(*info);
    return ToGrpcStatus(info.status(), context);
  }

  grpc::Status ListNamespaces(grpc::ServerContext* context, const v1::ListNamespacesRequest*,
                              v1::ListNamespacesResponse* response) override {
    const absl::StatusOr<std::vector<Namespace>> found = backend_->ListNamespaces();
    if (!found.ok()) return ToGrpcStatus(found.status(), context);
    for (const Namespace& one : *found)
      *response->add_namespaces() = NamespaceProto({one.name, one.created_time, {}});
    return grpc::Status::OK;
  }

 private:
  absl::Status RunIngest(IngestStream& stream, const CancellationToken& cancellation) {
    v1::IngestDocumentsRequest message;
    if (!stream.Read(&message) || !message.has_options())
      return InvalidField("options", "must be the first message");
    CACHECLIP_ASSIGN_OR_RETURN(const IngestOptions options, FromProto(message.options()));
    CACHECLIP_RETURN_IF_ERROR(backend_->Begin(options));
    const absl::Time start = absl::Now();
    v1::IngestDocumentsResponse last;
    v1::IngestSummary& summary = *last.mutable_summary();
    while (stream.Read(&message)) {
      if (!message.has_document())
        return InvalidField("document", "must be set in every message after the first");
      Add(summary, IngestOne(stream, FromProto(message.document()), options, cancellation));
      CACHECLIP_RETURN_IF_ERROR(cancellation.Check());
    }
    summary.set_duration_seconds(absl::ToDoubleSeconds(absl::Now() - start));
    stream.Write(last);
    return absl::OkStatus();
  }

  DocumentResult IngestOne(IngestStream& stream, const SourceDocument& document, const IngestOptions& options,
                           const CancellationToken& cancellation) {
    const absl::Time start = absl::Now();
    const auto send_progress = [&stream](const DocumentProgress& progress) {
      v1::IngestDocumentsResponse event;
      event.mutable_progress()->set_document_id(progress.document_id);
      event.mutable_progress()->set_chunks_done(progress.chunks_done);
      event.mutable_progress()->set_num_chunks(progress.num_chunks);
      stream.Write(event);
    };
    DocumentResult result = backend_->Ingest(document, options, cancellation, send_progress);
    metrics_->RecordIngest(RecordOf(result, absl::Now() - start));
    v1::IngestDocumentsResponse event;
    *event.mutable_result() = ToProto(result);
    stream.Write(event);
    return result;
  }

  IngestionBackend* const backend_;
  Metrics* const metrics_;
};

}  // namespace

RpcService MakeIngestionService(IngestionBackend* backend, Metrics* metrics) {
  return RpcService(v1::IngestionService::service_full_name(), std::make_unique<Service>(backend, metrics));
}

}  // namespace cacheclip
