#include "services/cacheclip/ingest_flags.h"

namespace cacheclip {

void AddIngestFlags(CLI::App& app, IngestFlags* flags) {
  app.add_option("--prefix-id", flags->prefix_id, "prefix to encode behind; empty: the namespace's default");
  app.add_option("--chunk-tokens", flags->chunk_tokens, "tokens at which a chunk should end")
      ->capture_default_str();
  app.add_option("--system-prompt", flags->system_prompt,
                 "of the default prefix, where the namespace has none yet");
  app.add_option("--instruction", flags->instruction, "before the chunks, likewise");
  app.add_flag("--omit-titles", flags->omit_titles, "leave titles out of the chunks");
}

IngestOptions IngestOptionsOf(const IngestFlags& flags, const std::string& namespace_name) {
  IngestOptions options{.namespace_name = namespace_name, .prefix_id = flags.prefix_id};
  options.chunker.target_tokens = flags.chunk_tokens;
  options.chunker.max_tokens = 2 * flags.chunk_tokens;
  options.title_in_chunks = !flags.omit_titles;
  return options;
}

PrefixSpec PrefixSpecOf(const IngestFlags& flags) {
  PrefixSpec spec;
  spec.system_prompt = flags.system_prompt;
  spec.instruction = flags.instruction;
  return spec;
}

}  // namespace cacheclip
