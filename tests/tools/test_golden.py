"""The committed golden files agree with the weight formula and with each other."""

import json
import pathlib

import formula_weights
import numpy as np
import pytest

_PARITY = pathlib.Path(__file__).resolve().parents[1] / "data" / "parity"
_FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
_MAX_FILE_BYTES = 60_000


def load(name: str) -> dict:
  return json.loads((_PARITY / f"{name}.json").read_text(encoding="utf-8"))


def test_hashes_are_the_published_functions():
  assert formula_weights.fnv1a64("") == 0xCBF29CE484222325
  assert formula_weights.fnv1a64("a") == 0xAF63DC4C8601EC8C
  # The first outputs of splitmix64 seeded with 0 and with 1234567.
  known = formula_weights.splitmix64(np.array([0, 1234567], np.uint64))
  assert known.tolist() == [0xE220A8397B1DCDAF, 6457827717110365317]


@pytest.mark.parametrize("family", _FAMILIES)
def test_samples_follow_the_formula(family):
  golden = load(family)
  assert golden["weight_rules"] == list(formula_weights.RULES)
  for name, samples in golden["weight_samples"].items():
    values = formula_weights.tensor(name, tuple(golden["tensors"][name])).reshape(-1)[: len(samples)]
    assert [np.float32(sample) for sample in samples] == values.tolist(), name


@pytest.mark.parametrize("family", _FAMILIES)
def test_greedy_starts_with_the_largest_logit(family):
  golden = load(family)
  assert golden["greedy"][0] == int(np.argmax(golden["last_row"]))
  assert len(golden["last_row"]) == len(golden["middle_row"]) == golden["config"]["vocab_size"]


def test_families_show_what_is_special_about_them():
  configs = {family: load(family)["config"] for family in _FAMILIES}
  tensors = {family: load(family)["tensors"] for family in _FAMILIES}
  assert configs["llama"]["rope_scaling"]["rope_type"] == "llama3" and "lm_head.weight" in tensors["llama"]
  assert configs["mistral"]["sliding_window"] is None
  assert (
    "model.layers.0.self_attn.q_proj.bias" in tensors["qwen2"] and "lm_head.weight" not in tensors["qwen2"]
  )
  assert "model.layers.0.self_attn.q_norm.weight" in tensors["qwen3"]
  assert (
    configs["qwen3"]["head_dim"] * configs["qwen3"]["num_attention_heads"] != configs["qwen3"]["hidden_size"]
  )


def test_spans_of_plain_text_cover_it():
  for case in load("smollm2")["tokenizer"]:
    length = len(case["text"].encode("utf-8"))
    spans = case.get("plain_byte_spans", case["byte_spans"])
    assert len(spans) == len(case.get("plain_ids", case["ids"]))
    covered = sorted({byte for begin, end in spans for byte in range(begin, end)})
    assert covered == list(range(length)), case["text"]


def test_files_stay_small():
  for path in _PARITY.glob("*.json"):
    assert path.stat().st_size < _MAX_FILE_BYTES, path.name
