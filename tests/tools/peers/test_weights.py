"""The peers' files hold the same model: description copied, matrices in the wanted type, vectors in fp32."""

import pytest

gguf = pytest.importorskip("gguf")
np = pytest.importorskip("numpy")

import tiny_gguf  # noqa: E402  (after the skip: it needs gguf)

from tests.benchmarks.peers import weights  # noqa: E402


def _values(reader):
  return {tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(-1) for tensor in reader.tensors}


@pytest.mark.parametrize("kind", sorted(weights.TYPES))
def test_a_file_of_each_type_holds_the_source(kind, tmp_path):
  source, target = tmp_path / "source.gguf", tmp_path / f"{kind}.gguf"
  tiny_gguf.write(source, "llama", tiny_gguf.hf_weights("llama", tied=True))
  weights.write(source, target, kind)
  before, after = gguf.GGUFReader(source), gguf.GGUFReader(target)
  for name in ("general.architecture", "llama.block_count", "tokenizer.ggml.tokens", "tokenizer.ggml.merges"):
    assert after.get_field(name).contents() == before.get_field(name).contents()
  assert {tensor.tensor_type for tensor in after.tensors if len(tensor.shape) == 2} == {weights.TYPES[kind]}
  old, new = _values(before), _values(after)
  assert old.keys() == new.keys()
  for name, values in old.items():
    step = np.abs(values).max() / 100  # of q8_0 a block's largest over 127, of bf16 2^-8
    assert np.abs(new[name] - values).max() <= step
  assert not target.with_suffix(".partial").exists()


def test_files_are_made_once_and_a_missing_model_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match="make models"):
    weights.files(tmp_path)
  source = tmp_path / "downloads" / "SmolLM2-135M-Instruct.Q4_1.gguf"
  source.parent.mkdir()
  tiny_gguf.write(source, "llama", tiny_gguf.hf_weights("llama", tied=True))
  made = weights.files(tmp_path)
  times = {kind: path.stat().st_mtime_ns for kind, path in made.items()}
  assert set(made) == {"f16", "bf16", "q8_0"}
  assert {kind: path.stat().st_mtime_ns for kind, path in weights.files(tmp_path).items()} == times
