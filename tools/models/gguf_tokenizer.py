"""Rebuilds tokenizer.json, tokenizer_config.json and generation_config.json from a GGUF's metadata.

Byte-level BPE only: vocabulary and merges are taken over as they are; the pre-tokenizer is the one that the
GGUF names (`tokenizer.ggml.pre`). A name that is not in `_PRE_TOKENIZERS` is refused.
"""

from . import errors
from . import gguf_model

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5

_GPT4_WORDS = (
  r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
  r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _byte_level(use_regex: bool, trim_offsets: bool = True) -> dict:
  return {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": trim_offsets,
    "use_regex": use_regex,
  }


def _digits_then_words() -> dict:
  return {
    "type": "Sequence",
    "pretokenizers": [{"type": "Digits", "individual_digits": True}, _byte_level(True)],
  }


def _regex_words(number_pattern: str) -> dict:
  split = {
    "type": "Split",
    "pattern": {"Regex": _GPT4_WORDS % number_pattern},
    "behavior": "Isolated",
    "invert": False,
  }
  return {"type": "Sequence", "pretokenizers": [split, _byte_level(False)]}


# name: (pre-tokenizer, normalizer, whole words may be taken from the vocabulary without merging)
_PRE_TOKENIZERS = {
  "smollm": (_digits_then_words(), None, False),
  "gpt-2": (_byte_level(True), None, False),
  "qwen2": (_regex_words(r"\p{N}"), {"type": "NFC"}, False),
  "llama-bpe": (_regex_words(r"\p{N}{1,3}"), None, True),
}


class GgufTokenizer:
  """The tokenizer part of a GGUF file."""

  def __init__(self, model: gguf_model.GgufModel):
    self._model = model
    kind, self._pre = model.require("tokenizer.ggml.model"), model.get("tokenizer.ggml.pre", "default")
    if kind != "gpt2":
      raise errors.UnsupportedModelError(
        f"{model.path}: tokenizer {kind!r} is not supported (byte-level BPE is)"
      )
    if self._pre not in _PRE_TOKENIZERS:
      raise errors.UnsupportedModelError(
        f"{model.path}: pre-tokenizer {self._pre!r} is not supported (supported: "
        f"{', '.join(_PRE_TOKENIZERS)})"
      )
    self._tokens = model.require("tokenizer.ggml.tokens")
    self._types = model.get("tokenizer.ggml.token_type") or [_NORMAL] * len(self._tokens)
    self._merges = [merge.split(" ", 1) for merge in model.require("tokenizer.ggml.merges")]

  def tokenizer_json(self) -> dict:
    pre_tokenizer, normalizer, ignore_merges = _PRE_TOKENIZERS[self._pre]
    # Where whole words are looked up in the vocabulary, a control token must not be one of them.
    left_out = (_CONTROL, _USER_DEFINED, _UNUSED) if ignore_merges or self._pre == "qwen2" else (_UNUSED,)
    vocab = {token: index for index, token in enumerate(self._tokens) if self._types[index] not in left_out}
    return {
      "version": "1.0",
      "truncation": None,
      "padding": None,
      "added_tokens": self._added_tokens(),
      "normalizer": normalizer,
      "pre_tokenizer": pre_tokenizer,
      "post_processor": self._post_processor(),
      "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
      "model": {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": ignore_merges,
        "vocab": vocab,
        "merges": self._merges,
      },
    }

  def tokenizer_config_json(self) -> dict:
    decoder = {
      str(token["id"]): {key: value for key, value in token.items() if key != "id"}
      for token in self._added_tokens()
    }
    config = {
      "add_prefix_space": False,
      "added_tokens_decoder": decoder,
      "clean_up_tokenization_spaces": False,
      "model_max_length": int(self._model.arch("context_length")),
      "tokenizer_class": "PreTrainedTokenizerFast",
    }
    for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"), ("unk", "unknown")):
      config[f"{name}_token"] = self._token_text(key)
    template = self._model.get("tokenizer.chat_template")
    if template:
      config["chat_template"] = template
    return config

  def generation_config_json(self) -> dict:
    ids = {
      "bos_token_id": self._id("bos"),
      "eos_token_id": self._id("eos"),
      "pad_token_id": self._id("padding"),
    }
    return {"_from_model_config": True, **{key: value for key, value in ids.items() if value is not None}}

  def _id(self, key: str) -> int | None:
    return self._model.get(f"tokenizer.ggml.{key}_token_id")

  def _token_text(self, key: str) -> str | None:
    index = self._id(key)
    return None if index is None else self._tokens[index]

  def _added_tokens(self) -> list[dict]:
    added = []
    for index, kind in enumerate(self._types):
      if kind in (_CONTROL, _USER_DEFINED):
        added.append(
          {
            "id": index,
            "content": self._tokens[index],
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": kind == _CONTROL,
          }
        )
    return added

  def _post_processor(self) -> dict | None:
    if self._pre == "qwen2":
      return _byte_level(False, trim_offsets=False)
    if (
      not self._model.get("tokenizer.ggml.add_bos_token", self._pre == "llama-bpe") or self._id("bos") is None
    ):
      return None
    bos = self._token_text("bos")
    special = {"SpecialToken": {"id": bos, "type_id": 0}}
    text, pair = {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}
    return {
      "type": "TemplateProcessing",
      "single": [special, text],
      "pair": [special, text, pair],
      "special_tokens": {bos: {"id": bos, "ids": [self._id("bos")], "tokens": [bos]}},
    }
