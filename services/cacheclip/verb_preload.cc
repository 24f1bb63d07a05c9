// cacheclip preload: the offline job. Encodes documents into the configured stores without a server: beside
// one, in a Kubernetes Job, on a machine with many cores. Several workers share a job by --shard or, with
// --job, by a queue on Redis that survives their death. Running it again does only what is missing.
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "common/rpc/shutdown_signal.h"
#include "services/cacheclip/console.h"
#include "services/cacheclip/documents/document_set.h"
#include "services/cacheclip/ingest_flags.h"
#include "services/cacheclip/preload/job_identity.h"
#include "services/cacheclip/preload/preload_run.h"
#include "services/cacheclip/preload/redis_work_queue.h"
#include "services/cacheclip/preload/work_queue.h"
#include "services/cacheclip/verb.h"
#include "services/ingestion/ingestion_backend.h"
#include "services/runtime/program_options.h"
#include "services/runtime/selector_link.h"
#include "services/runtime/service_runtime.h"
#include "services/runtime/stores.h"

namespace cacheclip {
namespace {

constexpr int kRenewalsPerLease = 4;

struct Flags {
  ProgramOptions program;
  std::vector<std::string> sources;
  std::string namespace_name = "default";
  IngestFlags ingest;
  std::string shard = "1/1", job, queue_url, report_file;
  double lease_seconds = 60;
  bool reset = false, dry_run = false;
  PreloadOptions run;
};

// Before the model is loaded: what is wrong with the flags shows at once.
absl::StatusOr<Shard> CheckQueueFlags(const Flags& flags) {
  CACHECLIP_ASSIGN_OR_RETURN(const Shard shard, ParseShard(flags.shard));
  if (!flags.job.empty() && shard.count > 1)
    return InvalidField("shard", "contradicts job: the workers of a job share its queue");
  return shard;
}

absl::StatusOr<std::unique_ptr<WorkQueue>> OpenQueue(const Flags& flags, const Config& config,
                                                     const Shard& shard, const DocumentSet& documents,
                                                     const PrefixContext& prefix) {
  if (flags.job.empty()) return std::make_unique<ShardQueue>(documents.size(), shard.index, shard.count);
  CACHECLIP_ASSIGN_OR_RETURN(std::shared_ptr<RedisClient> client, ConnectQueue(config, flags.queue_url));
  CACHECLIP_ASSIGN_OR_RETURN(const Digest identity, documents.Identity());
  const IngestOptions options = IngestOptionsOf(flags.ingest, flags.namespace_name);
  CACHECLIP_ASSIGN_OR_RETURN(std::unique_ptr<WorkQueue> queue,
                             RedisWorkQueue::Open({.client = std::move(client),
                                                   .job = flags.job,
                                                   .identity = JobIdentity(identity, prefix, options),
                                                   .total = documents.size(),
                                                   .lease = absl::Seconds(flags.lease_seconds),
                                                   .reset = flags.reset}));
  return queue;
}

absl::Status EnsurePrefix(IngestionBackend& backend, const Flags& flags) {
  const absl::StatusOr<NamespaceInfo> info = backend.GetNamespace(flags.namespace_name);
  if (info.ok() && !info->prefixes.empty()) return absl::OkStatus();
  if (!info.ok() && !absl::IsNotFound(info.status())) return info.status();
  const PrefixSpec spec = PrefixSpecOf(flags.ingest);
  return backend.PutNamespace(flags.namespace_name, &spec, true).status();
}

// The prefix that chunks are encoded behind, its KV where it is kept.
absl::StatusOr<std::shared_ptr<PrefixContext>> PreparePrefix(IngestionBackend& backend,
                                                             PrefixContexts& contexts, const Flags& flags) {
  CACHECLIP_RETURN_IF_ERROR(EnsurePrefix(backend, flags));
  CACHECLIP_ASSIGN_OR_RETURN(auto prefix, contexts.Get(flags.namespace_name, flags.ingest.prefix_id));
  CACHECLIP_RETURN_IF_ERROR(prefix->PrefixChunk(TaskPriority::kBackground).status());
  return prefix;
}

// Ctrl-C and SIGTERM end the run between two steps; what was being worked on is given back. A second one ends
// the process at once.
CancellationToken CancelledBySignal() {
  CancellationToken token;
  std::thread([token]() mutable {
    WaitForShutdownSignal();
    token.Cancel();
  }).detach();
  return token;
}

nlohmann::json ToJson(const PreloadReport& report) {
  const PreloadProgress& progress = report.progress;
  return {{"complete", report.is_complete},
          {"job",
           {{"documents", progress.job.total}, {"done", progress.job.done}, {"failed", progress.job.failed}}},
          {"documents", progress.documents},
          {"unchanged", progress.unchanged},
          {"chunks_encoded", progress.chunks_encoded},
          {"chunks_reused", progress.chunks_reused},
          {"tokens", progress.tokens},
          {"tokens_encoded", progress.tokens_encoded},
          {"seconds", absl::ToDoubleSeconds(progress.elapsed)},
          {"failures", report.failures}};
}

// Replaced as a whole, so that a reader, also of a worker that was killed, finds one complete report.
absl::Status WriteReport(const std::string& path, const PreloadReport& report) {
  if (path.empty()) return absl::OkStatus();
  const std::string temporary = absl::StrCat(path, ".tmp");
  std::ofstream file(temporary);
  file << ToJson(report).dump(2) << "\n";
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0)
    return InvalidField("report", absl::StrCat(path, " cannot be written"));
  return absl::OkStatus();
}

absl::StatusOr<PreloadReport> RunShowingProgress(const Flags& flags, const DocumentSet& documents,
                                                 WorkQueue& queue, const IngestFunction& ingest) {
  ProgressLine line;
  const auto show = [&](const PreloadReport& so_far) {
    const JobState& job = so_far.progress.job;
    line.Update("documents", job.done + job.failed, job.total);
    WriteReport(flags.report_file, so_far).IgnoreError();  // the last one is reported
  };
  PreloadOptions options = flags.run;
  options.keep_alive_interval = absl::Seconds(flags.lease_seconds) / kRenewalsPerLease;
  return RunPreload(documents, queue, ingest, options, CancelledBySignal(), show);
}

absl::StatusOr<PreloadReport> Preload(const Flags& flags, const Config& config) {
  CACHECLIP_ASSIGN_OR_RETURN(const DocumentSet documents,
                             DocumentSet::Open(flags.sources, S3SettingsOf(config)));
  if (flags.dry_run) return PreloadReport{.progress = {.job = {.total = documents.size()}}};
  CACHECLIP_ASSIGN_OR_RETURN(const Shard shard, CheckQueueFlags(flags));
  CACHECLIP_ASSIGN_OR_RETURN(auto runtime, ServiceRuntime::Open(config, CatalogAccess::kReadWrite));
  CACHECLIP_ASSIGN_OR_RETURN(PrefixContexts * primary, runtime->LoadPrimary());
  CACHECLIP_ASSIGN_OR_RETURN(const auto selector, ConnectSelector(config));
  IngestionBackend backend(primary, selector.get());
  CACHECLIP_ASSIGN_OR_RETURN(const auto prefix, PreparePrefix(backend, *primary, flags));
  CACHECLIP_ASSIGN_OR_RETURN(const auto queue, OpenQueue(flags, config, shard, documents, *prefix));
  IngestOptions options = IngestOptionsOf(flags.ingest, flags.namespace_name);
  options.require_kept = true;
  CACHECLIP_RETURN_IF_ERROR(backend.Begin(options));
  const auto ingest = [&](const SourceDocument& document, const CancellationToken& token) {
    return backend.Ingest(document, options, token, {});
  };
  absl::StatusOr<PreloadReport> report = RunShowingProgress(flags, documents, *queue, ingest);
  // A run that a signal has ended has put chunks, too.
  FlushWriteBack(runtime->store().write_back(), "preload", absl::Seconds(config.drain_seconds));
  return report;
}

int Report(const Flags& flags, const PreloadReport& report) {
  if (const absl::Status written = WriteReport(flags.report_file, report); !written.ok())
    return ReportError(written);
  const PreloadProgress& progress = report.progress;
  if (flags.program.json) {
    PrintJson(ToJson(report));
  } else {
    std::printf(
        "%lld of %lld documents are done, %lld failed; this worker: %lld documents (%lld unchanged), "
        "%lld chunks encoded, %lld reused, %lld tokens; %.1f s\n",
        (long long)progress.job.done, (long long)progress.job.total, (long long)progress.job.failed,
        (long long)progress.documents, (long long)progress.unchanged, (long long)progress.chunks_encoded,
        (long long)progress.chunks_reused, (long long)progress.tokens,
        absl::ToDoubleSeconds(progress.elapsed));
    for (const std::string& failure : report.failures) std::fprintf(stderr, "failed: %s\n", failure.c_str());
  }
  return progress.job.failed == 0 ? kExitOk : kExitFailure;
}

void AddFlags(CLI::App& app, Flags* flags) {
  app.add_option("SOURCE", flags->sources, "files, folders, patterns, .jsonl manifests, s3://bucket/prefix")
      ->required();
  app.add_option("--namespace", flags->namespace_name, "where the documents go")->capture_default_str();
  AddIngestFlags(app, &flags->ingest);
  app.add_option("--shard", flags->shard, "I/N: every N-th document, from the I-th")->capture_default_str();
  app.add_option("--job", flags->job, "name of a job whose workers share a queue on Redis");
  app.add_option("--queue-url", flags->queue_url, "Redis of the queue; empty: catalog_url, else redis_url");
  app.add_option("--lease-seconds", flags->lease_seconds,
                 "after which a silent worker's document goes to another")
      ->check(CLI::Range(1.0, 86400.0))
      ->capture_default_str();
  app.add_flag("--reset", flags->reset, "forget what the job has done before");
  app.add_option("--parallel", flags->run.num_threads, "documents at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--documents-per-second", flags->run.max_documents_per_second,
                 "at most, by this worker; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--tokens-per-second", flags->run.max_tokens_per_second,
                 "encoded at most, by this worker; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--report", flags->report_file,
                 "write the JSON report to this file, too; kept up to date meanwhile");
  app.add_flag("--dry-run", flags->dry_run, "count the documents, load nothing");
}

}  // namespace

VerbRun AddPreload(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  AddFlags(app, flags.get());
  AddSettings(app, &flags->program);
  app.add_flag("--json", flags->program.json, "stdout is exactly one JSON object");
  return [flags] {
    BlockShutdownSignals();
    return RunWithConfig(flags->program, [&](const Config& config) {
      const absl::StatusOr<PreloadReport> report = Preload(*flags, config);
      if (!report.ok()) return ReportError(report.status());
      return Report(*flags, *report);
    });
  };
}

}  // namespace cacheclip
