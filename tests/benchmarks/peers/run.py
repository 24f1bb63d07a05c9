"""Measures `cacheclip` beside its peers on the same weights, in turn in one run; prints and keeps JSON.

  python=$(tools/setup/python_environment.sh tests/benchmarks/peers)
  $python -m tests.benchmarks.peers.run --out measured.json --prefill 512,2048,4096 --rounds 3
  $python -m tests.benchmarks.peers.page measured.json --out docs/performance.md

Question: how long do a full prefill, a decoded token and the first token over stored chunks take here, against
llama.cpp, OpenVINO GenAI and transformers, and against the machine's limits? In each round everyone is measured once,
so that what else the machine does meets all of them; a first round, in which engines load and compile, does not
count. Needs the demo model (`make models`) and build/release (`make build`). Exit codes: 0 done, 1 something could not
be measured, 2 wrong usage.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

from tools.models import paths

from . import weights

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Engine, file type, precision class: a class is compared within itself.
PEERS = [
  ("openvino", "f16", "bf16"),
  ("llama.cpp", "bf16", "bf16"),
  ("llama.cpp", "f16", "bf16"),
  ("transformers", "folder", "bf16"),
  ("openvino", "q8_0", "int8"),
  ("llama.cpp", "q8_0", "int8"),
]
OURS = [("stored", "bf16"), ("int8", "int8")]  # --weights, precision class


class Engine:
  """A peer's process."""

  def __init__(self, name: str, path: pathlib.Path, threads: int):
    self._process = subprocess.Popen(
      [sys.executable, "-m", "tests.benchmarks.peers.engine", name, str(path), str(threads)],
      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
    )  # fmt: skip

    self._answer("its start")  # what an engine tries out then would slow down what is measured beside it

  def ask(self, **request) -> dict:
    self._process.stdin.write(json.dumps(request) + "\n")
    self._process.stdin.flush()
    return self._answer(request)

  def _answer(self, request) -> dict:
    answer = self._process.stdout.readline()
    if not answer:
      raise RuntimeError(f"the engine ended with status {self._process.wait()} at {request}")
    return json.loads(answer)

  def close(self) -> None:
    self._process.stdin.close()
    self._process.wait()


def bench(cacheclip: pathlib.Path, threads: int, *arguments: str) -> dict:
  """One of our own benchmarks."""
  run = subprocess.run(
    [str(cacheclip), "bench", *arguments, "--json"],
    env={**os.environ, "OMP_NUM_THREADS": str(threads)}, capture_output=True, text=True, check=False,
  )  # fmt: skip
  if run.returncode != 0:
    raise RuntimeError(f"cacheclip bench {' '.join(arguments)}: {run.stderr.strip()}")
  return json.loads(run.stdout)


def cpu_name() -> str:
  for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
    if line.startswith("model name"):
      return line.split(":", 1)[1].strip()
  return platform.processor()


def instruction_sets() -> list[str]:
  wanted = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "AVX-512 BF16", "avx512_vnni": "AVX-512 VNNI",
            "amx_bf16": "AMX"}  # fmt: skip
  for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
    if line.startswith("flags"):
      return [name for flag, name in wanted.items() if flag in line.split()]
  return []


class Samples:
  """Seconds of everything measured: (what, size, precision class, who) -> one number per round."""

  def __init__(self):
    self.rows: dict[tuple, list[float]] = {}
    self.floors: dict[tuple, list[float]] = {}

  def add(self, what: str, size: int, precision: str, who: str, seconds: float, floor: float | None = None) -> None:
    key = (what, size, precision, who)
    self.rows.setdefault(key, []).append(seconds)
    if floor is not None:
      self.floors.setdefault(key, []).append(floor)
    print(f"{what} {size} {precision} {who}: {seconds:.4f} s", file=sys.stderr, flush=True)

  def json(self) -> list[dict]:
    return [
      {"what": what, "size": size, "precision": precision, "who": who, "seconds": seconds,
       "floor_seconds": self.floors.get((what, size, precision, who), [])}
      for (what, size, precision, who), seconds in self.rows.items()
    ]  # fmt: skip


def measure_ours(options: argparse.Namespace, samples: Samples) -> None:
  for weight_format, precision in OURS:
    for tokens in options.prefill:
      report = bench(options.cacheclip, options.threads, "prefill", "--tokens", str(tokens), "--repeat", "1",
                     "--weights", weight_format)  # fmt: skip
      row = report["results"][0]
      samples.add("prefill", tokens, precision, "cacheclip", row["seconds"], row["floor_seconds"])
    for context in options.decode:
      report = bench(options.cacheclip, options.threads, "decode", "--contexts", str(context), "--tokens",
                     str(options.decode_tokens), "--weights", weight_format)  # fmt: skip
      row = report["results"][0]
      samples.add("decode", context, precision, "cacheclip", row["seconds_per_token"], row["floor_seconds"])


def measure_ttft(options: argparse.Namespace, samples: Samples, reports: list[dict]) -> None:
  for context in options.ttft:
    for method in options.methods:
      for budget in options.budgets:
        report = bench(options.cacheclip, options.threads, "ttft", "--context", str(context), "--method", method,
                       "--budget", str(budget), "--repeat", str(options.rounds))  # fmt: skip
        reports.append(report)
        samples.add(f"ttft {budget:g}", context, "bf16", method, report["ttft_seconds"],
                    report["limits"]["ttft_floor_seconds"])  # fmt: skip


def measure_recompute(options: argparse.Namespace) -> dict | None:
  """How the time of recomputing grows, and how fast chunks are laid into a cache; of ourselves alone."""
  if not options.recompute:
    return None
  repeat = ("--repeat", str(options.rounds))
  return {
    "recompute": bench(options.cacheclip, options.threads, "recompute", "--context", str(options.recompute), *repeat),
    "store": bench(options.cacheclip, options.threads, "store", "--tiers", "memory", *repeat),
  }


def measure(options: argparse.Namespace) -> dict:
  cache = paths.cache_dir()
  files = {**weights.files(cache), "folder": paths.models_dir() / "SmolLM2-135M-Instruct"}
  samples, reports, failures = Samples(), [], []
  with contextlib.ExitStack() as stack:
    engines = []
    for name, kind, precision in PEERS:
      if name in options.peers:
        engine = Engine(name, files[kind], options.threads)
        stack.callback(engine.close)
        engines.append((f"{name} {kind}" if kind != "folder" else name, precision, engine))
    for number in range(1 + options.rounds):
      if number == 1:
        samples.rows.clear()
        samples.floors.clear()
      measure_ours(options, samples)
      for who, precision, engine in engines:
        try:
          for tokens in options.prefill:
            samples.add("prefill", tokens, precision, who, engine.ask(do="prefill", tokens=tokens)["seconds"])
          for context in options.decode:
            answer = engine.ask(do="decode", context=context, tokens=options.decode_tokens)
            samples.add("decode", context, precision, who, answer["seconds_per_token"])
        except (RuntimeError, BrokenPipeError) as error:
          failures.append(f"{who}: {error}")
          print(failures[-1], file=sys.stderr)
  measure_ttft(options, samples, reports)
  recompute = measure_recompute(options)
  return {
    "date": datetime.date.today().isoformat(), "machine": cpu_name(), "instruction_sets": instruction_sets(),
    "threads": options.threads, "rounds": options.rounds, "command": options.command, "samples": samples.json(),
    "ttft": reports, "recompute": recompute, "failures": failures,
  }  # fmt: skip


def numbers(text: str) -> list[int]:
  return [int(part) for part in text.split(",") if part]


def main(arguments: list[str] | None = None) -> int:
  parser = argparse.ArgumentParser(
    prog="python -m tests.benchmarks.peers.run", description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )  # fmt: skip
  parser.add_argument("--out", type=pathlib.Path, required=True, help="JSON of everything measured")
  parser.add_argument("--prefill", type=numbers, default=[512, 2048, 4096], help="prompt lengths")
  parser.add_argument("--decode", type=numbers, default=[16, 2048], help="prompt lengths before decoding")
  parser.add_argument("--decode-tokens", type=int, default=64)
  parser.add_argument("--ttft", type=numbers, default=[2048, 4096], help="context lengths; empty: none")
  parser.add_argument("--recompute", type=int, default=4096, help="context of the figure of recompute time; 0: none")
  parser.add_argument("--methods", type=lambda text: text.split(","), default=["auxiliary", "primary_probe"])
  parser.add_argument("--budgets", type=lambda text: [float(part) for part in text.split(",")], default=[0.1, 0.2])
  parser.add_argument("--peers", type=lambda text: text.split(","), default=["openvino", "llama.cpp", "transformers"])
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument("--threads", type=int, default=os.cpu_count())
  parser.add_argument("--cacheclip", type=pathlib.Path, default=ROOT / "build/release/bin/cacheclip")
  options = parser.parse_args(arguments)
  given = sys.argv[1:] if arguments is None else arguments
  options.command = " ".join(["python -m tests.benchmarks.peers.run", *given])
  if not options.cacheclip.is_file():
    parser.error(f"{options.cacheclip} is missing: run `make build`")
  try:
    report = measure(options)
  except (RuntimeError, OSError) as error:
    print(f"tests.benchmarks.peers.run: {error}", file=sys.stderr)
    return 1
  options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
  return 1 if report["failures"] else 0


if __name__ == "__main__":
  sys.exit(main())
