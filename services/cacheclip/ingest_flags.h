// The flags of verbs that ingest documents (`ingest`, `preload`): which prefix to encode behind and how to
// split. Values and functions; one thread.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "common/ingest/ingest_pipeline.h"
#include "common/text/prompt_layout.h"

namespace cacheclip {

struct IngestFlags {
  std::string prefix_id;
  std::string system_prompt =
      "You answer questions about the documents that the user gives you. Answer with one short sentence.";
  std::string instruction;
  int chunk_tokens = 256;
  bool omit_titles = false;
};

// `flags` must outlive the parse.
void AddIngestFlags(CLI::App& app, IngestFlags* flags);

IngestOptions IngestOptionsOf(const IngestFlags& flags, const std::string& namespace_name);

// The default prefix of a namespace that has none yet.
PrefixSpec PrefixSpecOf(const IngestFlags& flags);

}  // namespace cacheclip
