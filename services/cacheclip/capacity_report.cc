#include "services/cacheclip/capacity_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace cacheclip {
namespace {

std::string Row(const char* name, const std::string& value, const std::string& note) {
  return absl::StrFormat("%-24s %14s  %s\n", name, value, note);
}

std::string TierRow(const TierNeed& need) {
  const bool is_local = need.tier == "memory" || need.tier == "disk";
  return absl::StrFormat("%-8s %12s %-14s %10.1f %% %12.1f %% %12s/s\n", need.tier, ByteText(need.bytes),
                         is_local ? "per replica" : "altogether", 100 * need.share_of_chunks,
                         100 * need.share_of_lookups, ByteText(need.bytes_per_second));
}

std::string ReplicaRow(const char* service, int64_t replicas, const std::string& note) {
  return Row(absl::StrCat(service, " replicas").c_str(), absl::StrCat(replicas), note);
}

}  // namespace

std::string ByteText(double bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  for (; bytes >= 1023.5 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1024;
  return absl::StrFormat("%.*f %s", unit == 0 || bytes >= 99.95 ? 0 : 1, bytes, kUnits[unit]);
}

nlohmann::json CapacityJson(const CapacityInput& input, const CapacityPlan& plan,
                            const CapacitySources& sources) {
  nlohmann::json tiers = nlohmann::json::array();
  for (const TierNeed& need : plan.tiers) {
    tiers.push_back({{"tier", need.tier},
                     {"bytes", need.bytes},
                     {"share_of_chunks", need.share_of_chunks},
                     {"share_of_lookups", need.share_of_lookups},
                     {"bytes_per_second", need.bytes_per_second}});
  }
  return {{"kv_shape", input.kv_shape.ToString()},
          {"bytes_per_token", plan.bytes_per_token},
          {"bytes_per_chunk", plan.bytes_per_chunk},
          {"slices_per_chunk", plan.slices_per_chunk},
          {"documents", input.num_documents},
          {"tokens", input.corpus_tokens},
          {"chunks", plan.num_chunks},
          {"corpus_bytes", plan.corpus_bytes},
          {"tiers", std::move(tiers)},
          {"recomputed_share_of_lookups", plan.recomputed_lookups},
          {"network_bytes_per_second", plan.network_bytes_per_second},
          {"question_seconds", plan.question_seconds},
          {"first_token_seconds", plan.first_token_seconds},
          {"generation_replicas", plan.generation_replicas},
          {"selector_replicas", plan.selector_replicas},
          {"ingestion_replicas", plan.ingestion_replicas},
          {"kv_bytes", plan.request_kv_bytes},
          {"generation_pod_bytes", plan.generation_pod_bytes},
          {"speeds",
           {{"prefill_tokens_per_second", input.prefill_tokens_per_second},
            {"prefill_source", sources.prefill},
            {"decode_tokens_per_second", plan.decode_tokens_per_second},
            {"decode_source", sources.decode},
            {"selection_seconds", plan.selection_seconds},
            {"selection_source", sources.selection}}}};
}

std::string CapacityTable(const CapacityInput& input, const CapacityPlan& plan,
                          const CapacitySources& sources) {
  std::string text = Row("KV per token", ByteText(plan.bytes_per_token), input.kv_shape.ToString());
  text += Row("KV per chunk", ByteText(plan.bytes_per_chunk),
              absl::StrFormat("%d slices; %d tokens at most", plan.slices_per_chunk, input.chunk_tokens));
  text += Row("corpus", absl::StrCat(plan.num_chunks, " chunks"),
              absl::StrFormat("%d documents, %d tokens", input.num_documents, input.corpus_tokens));
  text += Row("KV of the corpus", ByteText(plan.corpus_bytes), "kept once, wherever it is kept");
  absl::StrAppendFormat(&text, "\n%-8s %12s %-14s %12s %14s %14s\n", "tier", "bytes", "", "of chunks",
                        "of look-ups", "read");
  for (const TierNeed& need : plan.tiers) text += TierRow(need);
  if (plan.recomputed_lookups > 0)
    absl::StrAppendFormat(&text, "%-8s %68.1f %% of look-ups are encoded again\n", "none",
                          100 * plan.recomputed_lookups);
  text += "\n";
  text += Row("network, KV", absl::StrCat(ByteText(plan.network_bytes_per_second), "/s"),
              absl::StrFormat("%.2f Gbit/s from Redis and the object store at peak",
                              plan.network_bytes_per_second * 8 / 1e9));
  text += ReplicaRow("generation", plan.generation_replicas,
                     absl::StrFormat("%.3g s of compute a question, %.0f %% busy, %d spare",
                                     plan.question_seconds, 100 * input.utilisation, input.spare_replicas));
  text += ReplicaRow("selector", plan.selector_replicas,
                     absl::StrFormat("%.3g s a question", plan.selection_seconds));
  text += ReplicaRow("ingestion", plan.ingestion_replicas,
                     absl::StrFormat("the whole corpus in %.3g h", input.ingest_hours));
  text +=
      Row("first token", absl::StrFormat("%.3g s", plan.first_token_seconds), "without queueing and loading");
  text +=
      Row("generation pod memory", ByteText(plan.generation_pod_bytes),
          absl::StrCat("weights, memory tier, kv_bytes ", ByteText(plan.request_kv_bytes), ", the program"));
  absl::StrAppendFormat(&text,
                        "\nspeeds of one replica: prefill %.0f tokens/s (%s), decode %.0f tokens/s (%s), "
                        "selection %.3g s (%s)\n",
                        input.prefill_tokens_per_second, sources.prefill, plan.decode_tokens_per_second,
                        sources.decode, plan.selection_seconds, sources.selection);
  return text;
}

}  // namespace cacheclip
