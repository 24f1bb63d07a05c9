#include "common/rpc/ingestion_client.h"

#include "absl/strings/str_cat.h"
#include "cacheclip/v1/ingestion.grpc.pb.h"
#include "common/base/status.h"
#include "common/rpc/client_call.h"
#include "common/rpc/conversion/ingestion_conversion.h"
#include "common/rpc/status_mapping.h"

namespace cacheclip {
namespace {

using IngestStream = grpc::ClientReaderWriter<v1::IngestDocumentsRequest, v1::IngestDocumentsResponse>;

// Calls `call(stub, context)` and maps its status.
template <typename Call>
absl::Status CallUnary(const std::shared_ptr<grpc::Channel>& channel, Call call) {
  grpc::ClientContext context;
  const auto stub = v1::IngestionService::NewStub(channel);
  return FromGrpcStatus(call(*stub, context), context);
}

// Reads events until the document's result. False: the server has ended the stream.
bool ReadResult(IngestStream& stream, const IngestCallbacks& callbacks) {
  v1::IngestDocumentsResponse event;
  while (stream.Read(&event)) {
    if (event.has_progress() && callbacks.on_progress) {
      const v1::DocumentProgress& progress = event.progress();
      callbacks.on_progress({progress.document_id(), progress.chunks_done(), progress.num_chunks()});
    }
    if (event.has_result()) {
      if (callbacks.on_result) callbacks.on_result(FromProto(event.result()));
      return true;
    }
  }
  return false;
}

IngestTotals FromProto(const v1::IngestSummary& from) {
  IngestTotals to;
  to.num_documents = from.num_documents();
  to.num_failed = from.num_failed();
  to.num_unchanged = from.num_unchanged();
  to.num_chunks = from.num_chunks();
  to.chunks_encoded = from.chunks_encoded();
  to.chunks_reused = from.chunks_reused();
  to.num_tokens = from.num_tokens();
  to.duration = absl::Seconds(from.duration_seconds());
  return to;
}

}  // namespace

absl::StatusOr<IngestTotals> IngestionClient::Ingest(const IngestOptions& options,
                                                     const DocumentSource& next_document,
                                                     const IngestCallbacks& callbacks) {
  grpc::ClientContext context;
  const auto stream = v1::IngestionService::NewStub(channel_)->IngestDocuments(&context);
  v1::IngestDocumentsRequest message;
  *message.mutable_options() = ToProto(options);
  bool open = stream->Write(message);
  SourceDocument document;
  while (open && next_document(&document)) {
    *message.mutable_document() = ToProto(document);
    open = stream->Write(message) && ReadResult(*stream, callbacks);
  }
  stream->WritesDone();
  IngestTotals totals;
  bool has_summary = false;
  v1::IngestDocumentsResponse event;
  while (stream->Read(&event)) {
    if (!event.has_summary()) continue;
    totals = FromProto(event.summary());
    has_summary = true;
  }
  CACHECLIP_RETURN_IF_ERROR(FromGrpcStatus(stream->Finish(), context));
  if (!has_summary) return absl::InternalError("the stream ended without a summary");
  return totals;
}

absl::StatusOr<Document> IngestionClient::GetDocument(const std::string& namespace_name,
                                                      const std::string& document_id) {
  v1::GetDocumentRequest request;
  request.set_namespace_name(namespace_name);
  request.set_document_id(document_id);
  v1::GetDocumentResponse response;
  CACHECLIP_RETURN_IF_ERROR(
      CallUnary(channel_, [&](v1::IngestionService::Stub& stub, grpc::ClientContext& context) {
        return stub.GetDocument(&context, request, &response);
      }));
  return FromProto(response.document());
}

absl::StatusOr<DocumentPage> IngestionClient::ListDocuments(const std::string& namespace_name, int page_size,
                                                            const std::string& page_token) {
  v1::ListDocumentsRequest request;
  request.set_namespace_name(namespace_name);
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  v1::ListDocumentsResponse response;
  CACHECLIP_RETURN_IF_ERROR(
      CallUnary(channel_, [&](v1::IngestionService::Stub& stub, grpc::ClientContext& context) {
        return stub.ListDocuments(&context, request, &response);
      }));
  DocumentPage page;
  for (const v1::Document& document : response.documents()) page.documents.push_back(FromProto(document));
  page.next_page_token = response.next_page_token();
  return page;
}

absl::Status IngestionClient::DeleteDocument(const std::string& namespace_name,
                                             const std::string& document_id) {
  v1::DeleteDocumentRequest request;
  request.set_namespace_name(namespace_name);
  request.set_document_id(document_id);
  v1::DeleteDocumentResponse response;
  return CallUnary(channel_, [&](v1::IngestionService::Stub& stub, grpc::ClientContext& context) {
    return stub.DeleteDocument(&context, request, &response);
  });
}

absl::Status IngestionClient::PinChunks(const std::string& namespace_name,
                                        const std::vector<std::string>& chunk_ids, const std::string& owner,
                                        absl::Duration duration) {
  v1::PinChunksRequest request;
  request.set_namespace_name(namespace_name);
  request.mutable_chunk_ids()->Add(chunk_ids.begin(), chunk_ids.end());
  request.set_owner(owner);
  request.set_duration_seconds(absl::ToDoubleSeconds(duration));
  v1::PinChunksResponse response;
  return CallUnary(channel_, [&](v1::IngestionService::Stub& stub, grpc::ClientContext& context) {
    return stub.PinChunks(&context, request, &response);
  });
}

absl::StatusOr<int64_t> IngestionClient::UnpinChunks(const std::string& namespace_name,
                                                     const std::vector<std::string>& chunk_ids,
                                                     const std::string& owner) {
  v1::UnpinChunksRequest request;
  request.set_namespace_name(namespace_name);
  request.mutable_chunk_ids()->Add(chunk_ids.begin(), chunk_ids.end());
  request.set_owner(owner);
  v1::UnpinChunksResponse response;
  CACHECLIP_RETURN_IF_ERROR(
      CallUnary(channel_, [&](v1::IngestionService::Stub& stub, grpc::ClientContext& context) {
        return stub.UnpinChunks(&context, request, &response);
      }));
  return response.num_unpinned();
}

absl::StatusOr<std::string> IngestionClient::PutNamespace(const std::string& name, const PrefixSpec* prefix,
                                                          bool make_default) {
  v1::PutNamespaceRequest request;
  request.set_name(name);
  if (prefix != nullptr) *request.mutable_prefix() = ToProto(*prefix);
  request.set_make_default(make_default);
  v1::PutNamespaceResponse response;
  CACHECLIP_RETURN_IF_ERROR(
      CallUnary(channel_, [&](v1::IngestionService::Stub& stub, grpc::ClientContext& context) {
        return stub.PutNamespace(&context, request, &response);
      }));
  return response.prefix_id();
}

absl::StatusOr<NamespaceInfo> IngestionClient::GetNamespace(const std::string& name) {
  v1::GetNamespaceRequest request;
  request.set_name(name);
  v1::GetNamespaceResponse response;
  CACHECLIP_RETURN_IF_ERROR(
      CallUnary(channel_, [&](v1::IngestionService::Stub& stub, grpc::ClientContext& context) {
        return stub.GetNamespace(&context, request, &response);
      }));
  const v1::Namespace& found = response.namespace_();
  NamespaceInfo info{found.name(), absl::FromUnixSeconds(found.created_unix_seconds()), {}};
  for (const v1::Prefix& prefix : found.prefixes()) info.prefixes.push_back(FromProto(prefix));
  return info;
}

absl::StatusOr<std::vector<Namespace>> IngestionClient::ListNamespaces() {
  v1::ListNamespacesResponse response;
  CACHECLIP_RETURN_IF_ERROR(
      CallUnary(channel_, [&](v1::IngestionService::Stub& stub, grpc::ClientContext& context) {
        return stub.ListNamespaces(&context, v1::ListNamespacesRequest(), &response);
      }));
  std::vector<Namespace> namespaces;
  for (const v1::Namespace& found : response.namespaces())
    namespaces.push_back({found.name(), absl::FromUnixSeconds(found.created_unix_seconds())});
  return namespaces;
}

}  // namespace cacheclip
