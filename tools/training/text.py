"""Samples from texts of one's own: contexts of chunks cut from them, with pseudo-questions, each a sentence of one of
the chunks from which words are missing.

Prefix and what stands around the question come from a sample of `cacheclip eval --write-samples`, so that they are
rendered as in serving.
"""

import dataclasses
import pathlib
import random
import re

from . import errors
from .samples import Question, Sample

TEXT_SUFFIXES = (".txt", ".md")
_MIN_WORDS, _MAX_WORDS = 6, 40
_KEPT_SHARE = 0.6
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclasses.dataclass(frozen=True)
class TextOptions:
  num_contexts: int = 64
  context_tokens: int = 1500
  chunk_tokens: int = 256
  questions_per_context: int = 4
  seed: int = 1


def read_texts(path: pathlib.Path) -> list[str]:
  """The file, or all .txt and .md files below the folder."""
  if path.is_dir():
    files = sorted(file for file in path.rglob("*") if file.suffix in TEXT_SUFFIXES and file.is_file())
  else:
    files = [path]
  try:
    texts = [file.read_text(encoding="utf-8") for file in files]
  except (OSError, UnicodeDecodeError) as error:
    raise errors.DataError(f"{path}: {error}") from error
  texts = [text for text in texts if text.strip()]
  if not texts:
    raise errors.DataError(f"{path} holds no text ({', '.join(TEXT_SUFFIXES)})")
  return texts


def sentences(text: str) -> list[str]:
  """Those that a question can be made from."""
  parts = (part.strip() for part in _SENTENCE_END.split(text))
  return [part for part in parts if _MIN_WORDS <= len(part.split()) <= _MAX_WORDS]


def pseudo_question(sentence: str, source: random.Random) -> str:
  """The sentence with some of its words left out, in order."""
  words = sentence.rstrip(".!?").split()
  num_kept = max(_MIN_WORDS // 2, round(_KEPT_SHARE * len(words)))
  kept = sorted(source.sample(range(len(words)), min(num_kept, len(words) - 1)))
  return " ".join(words[index] for index in kept) + "?"


def make(texts: list[str], encode, decode, frame: Sample, options: TextOptions) -> list[Sample]:
  """`encode`: text → ids; `decode`: ids → text; `frame`: whose prefix and suffix are used."""
  chunks = []
  for text in texts:
    ids = encode(text)
    chunks += [tuple(ids[at : at + options.chunk_tokens]) for at in range(0, len(ids), options.chunk_tokens)]
  chunks = [chunk for chunk in chunks if sentences(decode(chunk))]
  num_chunks = max(2, options.context_tokens // options.chunk_tokens)
  if len(chunks) < num_chunks:
    raise errors.DataError(
      f"the text makes {len(chunks)} chunks of {options.chunk_tokens} tokens, a context takes {num_chunks}: "
      "give more text, or smaller --chunk or --context"
    )
  source = random.Random(f"text {options.seed}")
  return [
    _sample(source.sample(chunks, num_chunks), encode, decode, frame, options, source)
    for _ in range(options.num_contexts)
  ]


def _sample(chunks, encode, decode, frame: Sample, options: TextOptions, source: random.Random) -> Sample:
  around = frame.questions[0]
  before, after = around.suffix_ids[: around.begin], around.suffix_ids[around.end :]
  questions = []
  for _ in range(options.questions_per_context):
    # Never about the first chunk, whose tokens are never selected.
    sentence = source.choice(sentences(decode(source.choice(chunks[1:]))))
    ids = tuple(encode(pseudo_question(sentence, source)))
    questions.append(Question((*before, *ids, *after), len(before), len(before) + len(ids)))
  return Sample(frame.prefix_ids, tuple(chunks), tuple(questions), task="text")
