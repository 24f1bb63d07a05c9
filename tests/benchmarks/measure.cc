#include "tests/benchmarks/measure.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace cacheclip {
namespace {

constexpr const char* kWords[] = {"the",     "ship", "left", "harbour", "with",   "grain",  "and",  "timber",
                                  "for",     "a",    "long", "voyage",  "north",  "on",     "day",  "under",
                                  "captain", "of",   "blue", "water",   "before", "winter", "came", "again"};

std::string TextOf(int index, int num_words) {
  std::string text = absl::StrCat("Report ", index, ".");
  uint32_t state = 2654435761u * static_cast<uint32_t>(index + 1);
  for (int i = 0; i < num_words; ++i) {
    state = state * 1664525u + 1013904223u;
    absl::StrAppend(&text, " ", kWords[(state >> 16) % std::size(kWords)]);
    if (i % 12 == 11) absl::StrAppend(&text, " ", (state >> 8) % 1000, ".");
  }
  return text;
}

void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status << std::endl;
  std::exit(2);
}

}  // namespace

std::vector<MeasuredChunk> IngestTexts(Cluster& cluster, const Server& server, int num_documents,
                                       int num_words, int max_tokens) {
  (void)cluster.Ingest(server, 0);  // registers the prefix
  std::vector<MeasuredChunk> chunks;
  int next = 0;
  IngestionClient client(ChannelTo(server));
  const auto totals = client.Ingest(
      {.namespace_name = "default", .chunker = {.target_tokens = max_tokens, .max_tokens = max_tokens}},
      [&](SourceDocument* document) {
        if (next == num_documents) return false;
        *document = {.document_id = absl::StrCat("text-", next), .text = TextOf(next, num_words)};
        ++next;
        return true;
      },
      {.on_result = [&](const DocumentResult& done) {
        Require(done.status);
        for (const ChunkRecord& chunk : done.chunks) chunks.push_back({chunk.chunk_id, chunk.num_tokens});
      }});
  Require(totals.status());
  return chunks;
}

TimedAnswer Ask(const Server& server, const GenerateRequest& request) {
  const absl::Time begin = absl::Now();
  absl::Time first = absl::InfiniteFuture();
  auto result = GenerationClient(ChannelTo(server))
                    .Generate(request, CancellationToken(),
                              {.on_token = [&](const TokenEvent&) { first = std::min(first, absl::Now()); }});
  Require(result.status());
  return {first - begin, *std::move(result)};
}

absl::Duration Quantile(std::vector<absl::Duration> values, double share) {
  if (values.empty()) return absl::ZeroDuration();
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

int Argument(int argc, char** argv, const std::string& name, int otherwise) {
  for (int i = 1; i + 1 < argc; ++i)
    if (argv[i] == "--" + name) return std::atoi(argv[i + 1]);
  return otherwise;
}

}  // namespace cacheclip
