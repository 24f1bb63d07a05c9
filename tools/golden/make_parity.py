#!/usr/bin/env python3
"""Writes tests/data/parity/*.json: what transformers computes, for the C++ model to be compared with.

  tools/setup/python_environment.sh golden               prints the Python to run this with
  PYTHON tools/golden/make_parity.py [--out DIR] [--only llama,smollm2] [--model DIR]

<family>.json (llama, mistral, qwen2, qwen3): a small model whose weights come from the formula in
formula_weights.py. Fields: `config` (content of config.json), `weight_rules` (see the formula), `tensors`
(name to shape), `weight_samples` (first values of some tensors, to check an implementation), `ids`,
`last_row` and `middle_row` (fp32 logits; `middle_index` says which row), `greedy` (continuation of `ids`),
`greedy_smallest_lead` (winner over second, smallest of all steps) and `bf16_max_abs_deviation` (the same two
rows computed in bf16).
smollm2.json: see smollm2_golden.py. It needs the converted model (`cacheclip models fetch`).
All numbers: fp32, eager attention.
"""

import argparse
import json
import os
import pathlib

import numpy as np
import torch

import formula_weights
import greedy
import smollm2_golden
import tiny_models

_NUM_IDS = 40
_NUM_GREEDY = 32
_NUM_SAMPLES = 4
_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DEFAULT_OUT = _REPOSITORY / "tests" / "data" / "parity"


def default_model() -> pathlib.Path:
  cache = os.environ.get("CACHECLIP_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "cacheclip"
  )
  models = os.environ.get("CACHECLIP_MODELS") or os.path.join(cache, "models")
  return pathlib.Path(models) / "SmolLM2-135M-Instruct"


def input_ids(vocab_size: int) -> list[int]:
  """Fixed ids that visit the vocabulary unevenly, with repeats."""
  return [(37 * i + 11 * (i // 3) ** 2 + 5) % vocab_size for i in range(_NUM_IDS)]


def family_golden(family: str) -> dict:
  model = tiny_models.build(family)
  config = tiny_models.CONFIGS[family]
  ids = input_ids(config["vocab_size"])
  middle = _NUM_IDS // 2
  shapes = tiny_models.tensor_shapes(model)
  logits = greedy.all_logits(model, ids)
  tokens, lead = greedy.decode(model, ids, _NUM_GREEDY)
  in_bf16 = greedy.all_logits(model.to(torch.bfloat16), ids)
  rows = [middle, _NUM_IDS - 1]
  return {
    "family": family,
    "config": config,
    "weight_rules": list(formula_weights.RULES),
    "tensors": shapes,
    "weight_samples": {
      name: greedy.numbers(formula_weights.tensor(name, tuple(shape)).reshape(-1)[:_NUM_SAMPLES])
      for name, shape in shapes.items()
      if ".layers.0." in name or ".layers." not in name
    },
    "ids": ids,
    "middle_index": middle,
    "middle_row": greedy.numbers(logits[middle]),
    "last_row": greedy.numbers(logits[-1]),
    "greedy": tokens,
    "greedy_smallest_lead": lead,
    "bf16_max_abs_deviation": float(np.abs(in_bf16[rows] - logits[rows]).max()),
  }


def use_one_thread() -> None:
  """The same sums on every machine, and no OpenMP threads that spin for each other on a busy one."""
  torch.set_num_threads(1)


def write_all(out: pathlib.Path, names: list[str], model: pathlib.Path) -> None:
  use_one_thread()
  out.mkdir(parents=True, exist_ok=True)
  for name in names:
    content = smollm2_golden.golden(model) if name == "smollm2" else family_golden(name)
    # One line per field: readable in a diff, small on disk.
    fields = [
      f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items()
    ]
    (out / f"{name}.json").write_text("{\n" + ",\n".join(fields) + "\n}\n", encoding="utf-8")


ALL_NAMES = [*tiny_models.CONFIGS, "smollm2"]


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--out", type=pathlib.Path, default=DEFAULT_OUT)
  parser.add_argument("--only", default=",".join(ALL_NAMES), help="names, separated by commas")
  parser.add_argument("--model", type=pathlib.Path, default=default_model(), help="SmolLM2-135M-Instruct")
  args = parser.parse_args()
  write_all(args.out, args.only.split(","), args.model)


if __name__ == "__main__":
  main()
