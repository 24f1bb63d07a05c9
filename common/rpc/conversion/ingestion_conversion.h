// Ingestion's values to and from their protobuf twins; used by the client and by the service, so that both
// agree. For common/rpc and *_service.cc only.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cacheclip/v1/common.pb.h"
#include "cacheclip/v1/ingestion.pb.h"
#include "common/catalog/records.h"
#include "common/ingest/ingest_pipeline.h"
#include "common/rpc/ingestion_client.h"
#include "common/text/prompt_layout.h"

namespace cacheclip {

inline constexpr int kDefaultTargetChunkTokens = 256;
inline constexpr int kMaxTargetChunkTokens = 4096;
inline constexpr int kMaxChunkTokenCap = 8192;

v1::IngestOptions ToProto(const IngestOptions& options);
// INVALID_ARGUMENT naming "options.target_chunk_tokens" or "options.max_chunk_tokens".
absl::StatusOr<IngestOptions> FromProto(const v1::IngestOptions& options);

v1::SourceDocument ToProto(const SourceDocument& document);
SourceDocument FromProto(const v1::SourceDocument& document);

v1::DocumentResult ToProto(const DocumentResult& result);
DocumentResult FromProto(const v1::DocumentResult& result);

v1::Document ToProto(const Document& document);
Document FromProto(const v1::Document& document);

PrefixSpec FromProto(const v1::PrefixSpec& spec);
v1::PrefixSpec ToProto(const PrefixSpec& spec);
v1::Prefix ToProto(const Prefix& prefix);
Prefix FromProto(const v1::Prefix& prefix);

// Seconds since 1970; 0 stands for the infinite future.
int64_t ToExpirySeconds(absl::Time time);
absl::Time FromExpirySeconds(int64_t seconds);

}  // namespace cacheclip
