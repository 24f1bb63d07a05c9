#!/usr/bin/env python3
"""Times transformers' bf16 prefill: the peer that `cacheclip bench prefill` is compared with.

  PYTHON tools/golden/bench_transformers.py --model DIR --tokens 512,2048,4096 --json

Question answered: how many prompt tokens a second does transformers prefill on this machine, with the last
row's logits only and the KV cache kept, as a server would do. Median of --repeats after --warmup rounds.
Other work on the machine shows as a gap between median and best; `load_average` is in the JSON for that.
Exit codes: 0 done, 2 usage.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time


def _arguments() -> argparse.Namespace:
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--model", type=pathlib.Path, required=True, help="a Hugging Face directory")
  parser.add_argument("--tokens", default="512,2048,4096", help="prompt lengths, separated by commas")
  parser.add_argument("--threads", type=int, default=2)
  parser.add_argument("--repeats", type=int, default=5)
  parser.add_argument("--warmup", type=int, default=1)
  parser.add_argument("--attention", choices=("sdpa", "eager"), default="sdpa")
  parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
  args = parser.parse_args()
  args.lengths = [int(text) for text in args.tokens.split(",")]
  if min(args.lengths) < 1 or args.threads < 1 or args.repeats < 1 or args.warmup < 0:
    parser.error("--tokens, --threads and --repeats must be at least 1, --warmup at least 0")
  if not (args.model / "config.json").is_file():
    parser.error(f"{args.model} has no config.json")
  return args


def _cpu_name() -> str:
  for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
    if line.startswith("model name"):
      return line.split(":", 1)[1].strip()
  return "unknown"


def _prefill_seconds(model, ids, repeats: int, warmup: int) -> list[float]:
  import torch  # pylint: disable=import-outside-toplevel

  seconds = []
  with torch.inference_mode():
    for _ in range(warmup + repeats):
      begin = time.perf_counter()
      model(ids, use_cache=True, logits_to_keep=1)
      seconds.append(time.perf_counter() - begin)
  return seconds[warmup:]


def _measure(args: argparse.Namespace) -> dict:
  import torch  # pylint: disable=import-outside-toplevel
  import transformers  # pylint: disable=import-outside-toplevel

  torch.set_num_threads(args.threads)
  transformers.utils.logging.disable_progress_bar()
  model = transformers.AutoModelForCausalLM.from_pretrained(
    args.model, dtype=torch.bfloat16, attn_implementation=args.attention
  ).eval()
  generator = torch.Generator().manual_seed(1)
  results = []
  for length in args.lengths:
    ids = torch.randint(0, model.config.vocab_size, (1, length), generator=generator)
    seconds = _prefill_seconds(model, ids, args.repeats, args.warmup)
    median = statistics.median(seconds)
    results.append(
      {
        "tokens": length,
        "median_seconds": median,
        "best_seconds": min(seconds),
        "seconds": seconds,
        "tokens_per_second": length / median,
      }
    )
  return {
    "engine": "transformers",
    "version": transformers.__version__,
    "torch": torch.__version__,
    "dtype": "bfloat16",
    "attention": args.attention,
    "threads": args.threads,
    "cpu": _cpu_name(),
    "model": args.model.resolve().name,
    "repeats": args.repeats,
    "load_average": os.getloadavg()[0],
    "results": results,
  }


def main() -> int:
  args = _arguments()
  os.environ["OMP_NUM_THREADS"] = str(args.threads)
  report = _measure(args)
  if args.json:
    print(json.dumps(report, indent=2))
    return 0
  print(f"transformers {report['version']} bf16 {args.attention}, {args.threads} threads, {report['cpu']}")
  for entry in report["results"]:
    print(
      f"{entry['tokens']:6} tokens  {entry['median_seconds']:8.3f} s (best {entry['best_seconds']:.3f})  "
      f"{entry['tokens_per_second']:8.0f} tokens/s"
    )
  return 0


if __name__ == "__main__":
  sys.exit(main())
