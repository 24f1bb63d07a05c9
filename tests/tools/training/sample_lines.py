"""Samples of a small vocabulary, as `cacheclip eval --write-samples` writes them."""

import json
import pathlib
import random


def line(index: int, vocab_size: int = 300, chunk_tokens: int = 12, num_chunks: int = 3) -> dict:
  """The question repeats some tokens of the last chunk; the token behind them is the evidence."""
  source = random.Random(index)
  ids = [[source.randrange(1, vocab_size) for _ in range(chunk_tokens)] for _ in range(num_chunks)]
  question = ids[-1][3:6]
  return {
    "task": "made_up",
    "sample": index,
    "prefix_ids": [1, 2, 3, 4],
    "chunk_ids": ids,
    "suffix_ids": [5, 6, *question, 7],
    "question_begin": 2,
    "question_end": 2 + len(question),
    "evidence": [(num_chunks - 1) * chunk_tokens + 6],
  }


def write(path: pathlib.Path, num_samples: int, **shape) -> pathlib.Path:
  path.write_text("".join(json.dumps(line(i, **shape)) + "\n" for i in range(num_samples)), encoding="utf-8")
  return path
