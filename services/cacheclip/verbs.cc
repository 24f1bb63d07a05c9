#include "services/cacheclip/verb.h"

namespace cacheclip {
namespace {

constexpr Verb kVerbs[] = {
    {"serve", "run all services in this process on one port",
     "  cacheclip serve\n  cacheclip serve --model ~/models/Qwen2.5-0.5B-Instruct --port 50060 --data-dir "
     "/srv/cacheclip\n"
     "  cacheclip serve --print-config",
     AddServe},
    {"ingest", "send documents to a server (.txt, .md, .jsonl, folders)",
     "  cacheclip ingest docs/\n  cacheclip ingest notes.md articles.jsonl --namespace team-a --chunk-tokens "
     "512 --json",
     AddIngest},
    {"ask", "retrieve with the local index and answer",
     "  cacheclip ask \"When was the lighthouse completed?\"\n"
     "  cacheclip ask \"Who designed it?\" --method primary_probe --budget 0.1 --json\n"
     "  cacheclip ask \"Who designed it?\" --compare",
     AddAsk},
    {"generate", "answer over chunks that you name",
     "  cacheclip generate \"What is this about?\" --chunk-id 3f2a… --chunk-id 91bc…\n"
     "  cacheclip generate \"Summarise.\" --chunk-file report.txt --method full --max-new-tokens 128",
     AddGenerate},
    {"preload", "encode documents into the configured stores without a server",
     "  cacheclip preload docs/ --redis-url redis://cache:6379 --object-url s3://bucket/kv\n"
     "  cacheclip preload manifest.jsonl --shard 2/5 --report shard-2.json\n"
     "  cacheclip preload 's3://corpus/articles' --job nightly --catalog-url redis://catalog:6379 --json",
     AddPreload},
    {"inspect", "show what each tier and the catalogue hold, or one chunk's header",
     "  cacheclip inspect\n  cacheclip inspect --tier redis --redis-url redis://cache:6379 --json\n"
     "  cacheclip inspect 3f2a… --json",
     AddInspect},
    {"verify", "check every stored chunk, and the catalogue against the tiers",
     "  cacheclip verify\n  cacheclip verify --data-dir /srv/cacheclip --json\n"
     "  cacheclip verify --repair --object-url s3://bucket/kv\n"
     "  cacheclip verify --quality --model Qwen2.5-0.5B-Instruct --max-divergence 0.05",
     AddVerify},
    {"purge", "remove documents and chunks from every tier; says first what would go",
     "  cacheclip purge --namespace team-a\n  cacheclip purge --writer-version \"cacheclip 0.1.0\" --yes\n"
     "  cacheclip purge --unreferenced --tier redis --redis-url redis://cache:6379 --yes",
     AddPurge},
    {"models", "fetch, convert, list and verify models",
     "  cacheclip models fetch\n  cacheclip models list --json\n  cacheclip models convert my.gguf --out "
     "~/models/my",
     AddModels},
    {"bench", "measure prefill, decode, selection, recomputing, time to first token and stores",
     "  cacheclip bench decode --contexts 16,4096 --weights int8 --json\n"
     "  cacheclip bench select --methods auxiliary,auxiliary_paper --context 4096\n"
     "  cacheclip bench recompute --budgets 0.1,0.2,0.4,0.8 --context 4096 --json\n"
     "  cacheclip bench ttft --context 4096 --chunk 512 --budget 0.2 --method auxiliary --json\n"
     "  cacheclip bench prefill --tokens 512,2048,4096 --peer transformers --json\n"
     "  cacheclip bench store --chunks 16 --threads 2 --tiers memory,disk,redis",
     AddBench},
    {"eval", "how close each method's answers come to full prefill's",
     "  cacheclip eval --tasks niah_multikey_1,seam --methods auto,auxiliary_paper,none --samples 12\n"
     "  cacheclip eval --tasks all --methods auto,kv_deviation,chunk_head,random,none --budgets "
     "0.05,0.1,0.2,0.4 "
     "\\\n    --context 3000 --chunk 512 --out matrix.jsonl --resume\n"
     "  cacheclip eval --tasks '' --qa-file musique.json --methods auto,none --json",
     AddEval},
    {"tune", "find the attention heads of a model and its auxiliary that find answers",
     "  cacheclip tune\n  cacheclip tune --samples 16 --out profile.json && cacheclip serve --profile "
     "profile.json",
     AddTune},
    {"plan", "bytes per tier, bandwidth and replicas for a model, a corpus and a traffic",
     "  cacheclip plan --corpus docs/ --questions-per-second 2 --measure\n"
     "  cacheclip plan --model ~/models/Qwen2.5-7B-Instruct/config.json --documents 200000 --tokens "
     "180000000 \\\n"
     "    --questions-per-second 20 --chunks-per-question 10 --prefill-tokens-per-second 9000 --redis-bytes "
     "512GiB "
     "--json",
     AddPlan},
    {"health", "ask a server whether it serves; the exit code answers",
     "  cacheclip health\n  cacheclip health --address 10.0.0.7:50051 --service "
     "cacheclip.v1.GenerationService --timeout-seconds 1",
     AddHealth},
};

}  // namespace

std::span<const Verb> AllVerbs() { return kVerbs; }

}  // namespace cacheclip
