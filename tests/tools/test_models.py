"""Conversion: what comes out of a GGUF is what went in, and what is not understood is refused by name."""

import json

import gguf
import numpy as np
import pytest
import tiny_gguf

from tools.models import cli, errors, manifest, rope_scaling, safetensors_file

FAMILIES = ("llama", "qwen2", "qwen3")


def convert(path, target, *options) -> int:
  return cli.main(["convert", str(path), "--out", str(target), "--quiet", *options])


def config_of(target) -> dict:
  return json.loads((target / "config.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("tied", (True, False))
@pytest.mark.parametrize("family", FAMILIES)
def test_round_trip_keeps_every_weight(family, tied, tmp_path):
  weights = tiny_gguf.hf_weights(family, tied)
  path = tiny_gguf.write(tmp_path / "m.gguf", family, weights)
  assert convert(path, tmp_path / "out", "--dtype", "f32") == 0
  converted = tiny_gguf.read_safetensors(tmp_path / "out" / "model.safetensors")
  assert sorted(converted) == sorted(weights)
  for name, values in weights.items():
    np.testing.assert_array_equal(converted[name], values, err_msg=name)
  config = config_of(tmp_path / "out")
  assert config["tie_word_embeddings"] is tied
  assert config["head_dim"] == tiny_gguf.head_dim(family)
  assert (config["rms_norm_eps"], config["rope_theta"], config["model_type"]) == (1e-6, 10000.0, family)


def test_bf16_rounds_to_nearest_even():
  values = np.array(
    [0x3F800000, 0x3F808000, 0x3F808001, 0x3F818000, 0xBF807FFF, 0x7F7FFFFF, 0x7F800001], np.uint32
  )
  expected = [0x3F80, 0x3F80, 0x3F81, 0x3F82, 0xBF80, 0x7F80, 0x7FC0]
  assert safetensors_file.round_to_bf16(values.view(np.float32)).tolist() == expected


def test_default_dtype_is_bf16(tmp_path):
  weights = tiny_gguf.hf_weights("llama", tied=True)
  assert convert(tiny_gguf.write(tmp_path / "m.gguf", "llama", weights), tmp_path / "out") == 0
  converted = tiny_gguf.read_safetensors(tmp_path / "out" / "model.safetensors")
  for name, values in weights.items():
    np.testing.assert_allclose(converted[name], values, rtol=2**-8, atol=0, err_msg=name)
  assert config_of(tmp_path / "out")["torch_dtype"] == "bfloat16"


def test_quantised_tensors_are_dequantised(tmp_path):
  weights = tiny_gguf.hf_weights("qwen3", tied=True)
  path = tiny_gguf.write(tmp_path / "m.gguf", "qwen3", weights, quantised=True)
  assert convert(path, tmp_path / "out", "--dtype", "f32") == 0
  converted = tiny_gguf.read_safetensors(tmp_path / "out" / "model.safetensors")
  for name, values in weights.items():
    # Q8_0 keeps 32 values with one fp16 scale of their maximum / 127.
    np.testing.assert_allclose(converted[name], values, atol=np.abs(values).max() / 127, err_msg=name)


LLAMA3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


# 8192 is the usual one; 240 has two frequencies between the wavelengths, from which it is fitted.
@pytest.mark.parametrize("original", (8192, 240))
def test_llama3_rope_scaling_is_recovered(original, tmp_path):
  scaling = LLAMA3 | {"original_max_position_embeddings": original}
  factors = rope_scaling.llama3_factors(scaling, 10000.0, tiny_gguf.head_dim("llama")).astype(np.float32)
  weights = tiny_gguf.hf_weights("llama", tied=True)
  path = tiny_gguf.write(tmp_path / "m.gguf", "llama", weights, extra_tensors={"rope_freqs.weight": factors})
  assert convert(path, tmp_path / "out") == 0
  recovered = config_of(tmp_path / "out")["rope_scaling"]
  np.testing.assert_allclose(
    rope_scaling.llama3_factors(recovered, 10000.0, tiny_gguf.head_dim("llama")), factors, rtol=1e-4
  )


def test_rope_factors_of_another_kind_are_refused(tmp_path, capfd):
  factors = np.linspace(1, 5, tiny_gguf.head_dim("llama") // 2).astype(np.float32)[::-1].copy()
  weights = tiny_gguf.hf_weights("llama", tied=True)
  path = tiny_gguf.write(tmp_path / "m.gguf", "llama", weights, extra_tensors={"rope_freqs.weight": factors})
  assert convert(path, tmp_path / "out") == errors.EXIT_UNSUPPORTED
  assert "rope_freqs.weight" in capfd.readouterr().err


@pytest.mark.parametrize(
  ("metadata", "named"),
  (
    ({"tokenizer.ggml.model": "llama"}, "tokenizer 'llama'"),
    ({"tokenizer.ggml.pre": "poro-chat"}, "pre-tokenizer 'poro-chat'"),
    ({"llama.attention.sliding_window": 128}, "sliding_window"),
    ({"llama.rope.scaling.type": "yarn"}, "RoPE scaling 'yarn'"),
    ({"llama.rope.dimension_count": 8}, "part of the head dimension"),
    ({"llama.expert_count": 8}, "expert_count"),
  ),
)
def test_what_is_not_supported_is_refused_by_name(metadata, named, tmp_path, capfd):
  weights = tiny_gguf.hf_weights("llama", tied=True)
  path = tiny_gguf.write(tmp_path / "m.gguf", "llama", weights, extra_metadata=metadata)
  assert convert(path, tmp_path / "out") == errors.EXIT_UNSUPPORTED
  assert named in capfd.readouterr().err
  assert not (tmp_path / "out").exists()


def test_unknown_architecture_is_refused(tmp_path, capfd):
  path = tiny_gguf.write(tmp_path / "m.gguf", "gemma", tiny_gguf.hf_weights("llama", tied=True))
  assert convert(path, tmp_path / "out") == errors.EXIT_UNSUPPORTED
  assert "'gemma'" in capfd.readouterr().err


def test_unknown_and_missing_tensors_are_refused(tmp_path, capfd):
  weights = tiny_gguf.hf_weights("qwen2", tied=True)
  extra = {"blk.0.ffn_gate_exps.weight": np.zeros((2, 2), np.float32)}
  assert (
    convert(tiny_gguf.write(tmp_path / "a.gguf", "qwen2", weights, extra_tensors=extra), tmp_path / "o") == 5
  )
  assert "blk.0.ffn_gate_exps.weight" in capfd.readouterr().err
  del weights["model.layers.1.self_attn.k_proj.bias"]
  assert convert(tiny_gguf.write(tmp_path / "b.gguf", "qwen2", weights), tmp_path / "o") == 5
  assert "model.layers.1.self_attn.k_proj.bias" in capfd.readouterr().err


def test_unknown_quantisation_is_refused(tmp_path, monkeypatch, capfd):
  path = tiny_gguf.write(tmp_path / "m.gguf", "llama", tiny_gguf.hf_weights("llama", tied=True))

  def not_implemented(*_):
    raise NotImplementedError

  monkeypatch.setattr(gguf.quants, "dequantize", not_implemented)
  assert convert(path, tmp_path / "out") == errors.EXIT_UNSUPPORTED
  assert "is stored as F32" in capfd.readouterr().err
  assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_gguf_is_refused(tmp_path, capfd):
  whole = tiny_gguf.write(tmp_path / "m.gguf", "llama", tiny_gguf.hf_weights("llama", tied=True)).read_bytes()
  for name, content in (
    ("text", b"hello, not a model" * 9),
    ("cut", whole[: len(whole) // 2]),
    ("empty", b""),
  ):
    (tmp_path / name).write_bytes(content)
    assert convert(tmp_path / name, tmp_path / "out") == errors.EXIT_UNSUPPORTED, name
    assert "not a readable GGUF" in capfd.readouterr().err


def test_tokenizer_keeps_control_tokens_apart_from_text(tmp_path):
  tokenizers = pytest.importorskip("tokenizers")
  path = tiny_gguf.write(tmp_path / "m.gguf", "llama", tiny_gguf.hf_weights("llama", tied=True))
  assert convert(path, tmp_path / "out") == 0
  tokenizer = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
  text = "<|im_start|>hello world 123 é"
  ids = tokenizer.encode(text, add_special_tokens=False).ids
  assert ids[:2] == [1, tiny_gguf.vocabulary().index("hello")]
  tokenizer.encode_special_tokens = True
  plain = tokenizer.encode(text, add_special_tokens=False).ids
  assert 1 not in plain and tokenizer.decode(plain, skip_special_tokens=False) == text


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_computes_with_the_converted_model(family, tmp_path):
  torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
  weights = tiny_gguf.hf_weights(family, tied=False)
  assert (
    convert(tiny_gguf.write(tmp_path / "m.gguf", family, weights), tmp_path / "out", "--dtype", "f32") == 0
  )
  load = {"dtype": torch.float32, "attn_implementation": "eager"}
  model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", **load).eval()
  state = model.state_dict()
  assert sorted(state) == sorted(weights)
  for name, values in weights.items():
    np.testing.assert_array_equal(state[name].numpy(), values)
  tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
  text = tokenizer.apply_chat_template([{"role": "user", "content": "hello"}], tokenize=False)
  assert text == "<|im_start|>hello<|im_end|>"
  ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
  assert torch.isfinite(model(ids).logits).all()


def test_foreign_directory_is_never_replaced(tmp_path):
  path = tiny_gguf.write(tmp_path / "m.gguf", "llama", tiny_gguf.hf_weights("llama", tied=True))
  (tmp_path / "home").mkdir()
  (tmp_path / "home" / "letter.txt").write_text("dear", encoding="utf-8")
  assert convert(path, tmp_path / "home", "--force") == errors.EXIT_USAGE
  assert (tmp_path / "home" / "letter.txt").is_file()
  assert convert(path, tmp_path / "out") == 0
  assert convert(path, tmp_path / "out") == errors.EXIT_USAGE
  assert convert(path, tmp_path / "out", "--force") == 0


def test_interrupted_conversion_leaves_nothing_visible(tmp_path, monkeypatch):
  path = tiny_gguf.write(tmp_path / "m.gguf", "llama", tiny_gguf.hf_weights("llama", tied=True))
  # What a killed run leaves: a partial folder that the next run removes.
  (tmp_path / ".out.partial-killed" / "out").mkdir(parents=True)

  def interrupt(*_):
    raise KeyboardInterrupt

  with monkeypatch.context() as patched:
    patched.setattr(safetensors_file, "encode", interrupt)
    assert convert(path, tmp_path / "out") == errors.EXIT_INTERRUPTED
  assert sorted(entry.name for entry in tmp_path.glob("*out*")) == []
  assert convert(path, tmp_path / "out") == 0


def test_same_input_gives_the_same_bytes(tmp_path):
  path = tiny_gguf.write(tmp_path / "m.gguf", "qwen3", tiny_gguf.hf_weights("qwen3", tied=True))
  assert convert(path, tmp_path / "a") == 0 and convert(path, tmp_path / "b") == 0
  assert manifest.read(tmp_path / "a") == manifest.read(tmp_path / "b")
