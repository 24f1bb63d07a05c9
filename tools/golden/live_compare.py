#!/usr/bin/env python3
"""Recreates the golden files in a temporary folder and compares them with the committed ones.

  PYTHON tools/golden/live_compare.py [--only llama,smollm2] [--model DIR] [--tolerance 1e-4]

Numbers may differ by the tolerance (absolute below 1, relative above), everything else not at all; what was
computed in bf16 and the leads of greedy winners are in the files for reference and not compared. With smollm2
it also checks that the model reproduces the full-prefill values of selective_prefill_golden.json.
Exit codes: 0 all equal, 1 something differs, 2 usage.
"""

import argparse
import json
import pathlib
import sys
import tempfile

import torch
import transformers

import make_parity

_FIXTURES = make_parity.DEFAULT_OUT.parent / "selective_prefill_golden.json"
_NOT_COMPARED = {"bf16_max_abs_deviation", "greedy_smallest_lead"}
# The fixtures' log-probabilities are rounded to five decimals.
_FIXTURE_TOLERANCE = 1e-4
_MAX_SHOWN = 5


def differences(expected, actual, tolerance: float, where: str = "") -> list[str]:
  """Where two JSON values differ; empty if nowhere."""
  if isinstance(expected, dict) and isinstance(actual, dict):
    found = [] if list(expected) == list(actual) else [f"{where}: fields {list(expected)} and {list(actual)}"]
    for key in expected.keys() & actual.keys() - _NOT_COMPARED:
      found += differences(expected[key], actual[key], tolerance, f"{where}.{key}")
    return found
  if isinstance(expected, list) and isinstance(actual, list):
    if len(expected) != len(actual):
      return [f"{where}: {len(expected)} and {len(actual)} entries"]
    return [
      text
      for index, pair in enumerate(zip(expected, actual, strict=True))
      for text in differences(*pair, tolerance, f"{where}[{index}]")
    ]
  if isinstance(expected, float) and isinstance(actual, float):
    close = abs(expected - actual) <= tolerance * max(1.0, abs(expected))
    return [] if close else [f"{where}: {expected} and {actual}"]
  return (
    [] if expected == actual and type(expected) is type(actual) else [f"{where}: {expected!r} and {actual!r}"]
  )


def fixture_differences(model_dir: pathlib.Path) -> list[str]:
  """Teacher-forces the answers of the selective-prefill fixtures under full prefill."""
  make_parity.use_one_thread()
  model = transformers.AutoModelForCausalLM.from_pretrained(
    model_dir, dtype=torch.float32, attn_implementation="eager"
  ).eval()
  found = []
  for index, case in enumerate(json.loads(_FIXTURES.read_text(encoding="utf-8"))):
    prompt, answer = case["ids"] + case["question"] + case["answer_prefix"], case["answer"]
    with torch.no_grad():
      logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    chosen = logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None])[:, 0]
    actual = {"argmax": logits.argmax(-1).tolist(), "logp_gold": chosen.tolist()}
    found += differences(case["full"], actual, _FIXTURE_TOLERANCE, f"fixture[{index}].full")
  return found


def _report(name: str, found: list[str]) -> bool:
  print(f"{name}: {'equal' if not found else f'{len(found)} differences'}", flush=True)
  for text in found[:_MAX_SHOWN]:
    print(f"  {text}")
  return not found


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--only", default=",".join(make_parity.ALL_NAMES), help="names, separated by commas")
  parser.add_argument("--model", type=pathlib.Path, default=make_parity.default_model())
  parser.add_argument("--tolerance", type=float, default=1e-4)
  args = parser.parse_args()
  names = args.only.split(",")
  unknown = set(names) - set(make_parity.ALL_NAMES)
  if unknown:
    parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(make_parity.ALL_NAMES)}")
  if "smollm2" in names and not (args.model / "config.json").is_file():
    parser.error(f"{args.model} is not there: run `cacheclip models fetch`, or leave smollm2 out with --only")
  transformers.utils.logging.disable_progress_bar()
  equal = True
  with tempfile.TemporaryDirectory() as folder:
    for name in names:
      make_parity.write_all(pathlib.Path(folder), [name], args.model)
      expected, actual = (
        json.loads((path / f"{name}.json").read_text(encoding="utf-8"))
        for path in (make_parity.DEFAULT_OUT, pathlib.Path(folder))
      )
      equal &= _report(name, differences(expected, actual, args.tolerance, name))
  if "smollm2" in names:
    equal &= _report("selective_prefill_golden (full prefill)", fixture_differences(args.model))
  return 0 if equal else 1


if __name__ == "__main__":
  sys.exit(main())
