// What the workers of a preload job must agree on, as text for the job's queue: the documents with their
// contents, how they are cut, and everything that decides the bytes stored (model, tokenizer, KV dtype,
// prefix, salt), so that a job is not taken for done after an upgrade or an edit. Tells nothing about the
// salt itself.
#pragma once

#include <string>

#include "common/base/hash.h"
#include "common/ingest/ingest_pipeline.h"
#include "common/ingest/prefix_context.h"

namespace cacheclip {

// `documents`: DocumentSet::Identity().
std::string JobIdentity(const Digest& documents, const PrefixContext& prefix, const IngestOptions& options);

}  // namespace cacheclip
