"""Builds small GGUF files for the tests: formula weights, a byte-level vocabulary, any family.

The q and k rows of llama are paired here as llama.cpp's converter does it, written down independently of the
code under test.
"""

import pathlib

import gguf
import numpy as np

NUM_LAYERS, HIDDEN, HEADS, KV_HEADS, INTERMEDIATE = 2, 64, 4, 2, 96
CONTROL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = "{% for message in messages %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}"
_MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w"]


def byte_alphabet() -> list[str]:
  """The characters that byte-level BPE writes the 256 bytes as, in byte order."""
  printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
  shifted = iter(range(256, 512))
  return [chr(byte) if byte in printable else chr(next(shifted)) for byte in range(256)]


def vocabulary() -> list[str]:
  return CONTROL_TOKENS + byte_alphabet() + [merge.replace(" ", "") for merge in _MERGES]


def head_dim(family: str) -> int:
  return 32 if family == "qwen3" else HIDDEN // HEADS


def hf_weights(family: str, tied: bool, seed: int = 7) -> dict[str, np.ndarray]:
  """Random weights under their Hugging Face names."""
  random = np.random.default_rng(seed)
  q_rows, kv_rows = HEADS * head_dim(family), KV_HEADS * head_dim(family)
  shapes = {"model.embed_tokens.weight": (len(vocabulary()), HIDDEN), "model.norm.weight": (HIDDEN,)}
  if not tied:
    shapes["lm_head.weight"] = shapes["model.embed_tokens.weight"]
  for layer in range(NUM_LAYERS):
    attention, rest = f"model.layers.{layer}.self_attn.", f"model.layers.{layer}."
    shapes |= {attention + "q_proj.weight": (q_rows, HIDDEN), attention + "k_proj.weight": (kv_rows, HIDDEN)}
    shapes |= {attention + "v_proj.weight": (kv_rows, HIDDEN), attention + "o_proj.weight": (HIDDEN, q_rows)}
    shapes |= {rest + f"mlp.{name}_proj.weight": (INTERMEDIATE, HIDDEN) for name in ("gate", "up")}
    shapes |= {rest + "mlp.down_proj.weight": (HIDDEN, INTERMEDIATE)}
    shapes |= {rest + f"{name}_layernorm.weight": (HIDDEN,) for name in ("input", "post_attention")}
    if family == "qwen2":
      shapes |= {
        attention + f"{name}_proj.bias": (rows,)
        for name, rows in zip("qkv", (q_rows, kv_rows, kv_rows), strict=True)
      }
    if family == "qwen3":
      shapes |= {attention + f"{name}_norm.weight": (head_dim(family),) for name in "qk"}
  return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def _gguf_name(hf_name: str) -> str:
  parts = hf_name.split(".")
  top = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
  if parts[1] != "layers":
    return f"{top['.'.join(parts[:-1])]}.{parts[-1]}"
  names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "o_proj": "attn_output"}
  names |= {f"{name}_proj": f"attn_{name}" for name in "qkv"} | {
    f"{name}_norm": f"attn_{name}_norm" for name in "qk"
  }
  names |= {f"{name}_proj": f"ffn_{name}" for name in ("gate", "up", "down")}
  return f"blk.{parts[2]}.{names[parts[-2]]}.{parts[-1]}"


def _pair_rows(weights: np.ndarray, num_heads: int) -> np.ndarray:
  """Row 2j of a head is row j of its first half, row 2j + 1 is row j of its second half."""
  rows = weights.shape[0] // num_heads
  order = [
    head * rows + half * rows // 2 + j
    for head in range(num_heads)
    for j in range(rows // 2)
    for half in (0, 1)
  ]
  return weights[order]


def _add_metadata(writer: gguf.GGUFWriter, family: str) -> None:
  writer.add_context_length(512)
  writer.add_embedding_length(HIDDEN)
  writer.add_block_count(NUM_LAYERS)
  writer.add_feed_forward_length(INTERMEDIATE)
  writer.add_head_count(HEADS)
  writer.add_head_count_kv(KV_HEADS)
  writer.add_layer_norm_rms_eps(1e-6)
  writer.add_rope_freq_base(10000.0)
  if family == "qwen3":
    writer.add_key_length(head_dim(family))
  tokens = vocabulary()
  normal = len(tokens) - len(CONTROL_TOKENS)
  writer.add_tokenizer_model("gpt2")
  writer.add_tokenizer_pre("smollm" if family == "llama" else "qwen2")
  writer.add_token_list(tokens)
  writer.add_token_types([gguf.TokenType.CONTROL] * len(CONTROL_TOKENS) + [gguf.TokenType.NORMAL] * normal)
  writer.add_token_merges(_MERGES)
  writer.add_bos_token_id(1)
  writer.add_eos_token_id(2)
  writer.add_chat_template(TEMPLATE)


def write(
  path: pathlib.Path,
  family: str,
  weights: dict[str, np.ndarray],
  quantised: bool = False,
  extra_metadata: dict | None = None,
  extra_tensors: dict[str, np.ndarray] | None = None,
) -> pathlib.Path:
  """Writes `weights` (Hugging Face names and row order) as a GGUF of the family."""
  writer = gguf.GGUFWriter(str(path), family)
  _add_metadata(writer, family)
  for key, value in (extra_metadata or {}).items():
    add = writer.add_string if isinstance(value, str) else writer.add_uint32
    add(key, value)
  for name, values in weights.items():
    if family == "llama" and (".q_proj." in name or ".k_proj." in name):
      values = _pair_rows(values, HEADS if ".q_proj." in name else KV_HEADS)
    if quantised and values.ndim == 2:
      kind = gguf.GGMLQuantizationType.Q8_0
      writer.add_tensor(_gguf_name(name), gguf.quants.quantize(values, kind), raw_dtype=kind)
    else:
      writer.add_tensor(_gguf_name(name), values)
  for name, values in (extra_tensors or {}).items():
    writer.add_tensor(name, values)
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()
  return path


def read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
  """The tensors of a .safetensors file, bf16 widened to fp32. A second reader, for the tests only."""
  import json

  data = path.read_bytes()
  length = int.from_bytes(data[:8], "little")
  header, body, tensors = json.loads(data[8 : 8 + length]), data[8 + length :], {}
  for name, entry in header.items():
    if name != "__metadata__":
      raw = body[slice(*entry["data_offsets"])]
      wide = np.frombuffer(raw, "<u2").astype(np.uint32) << 16 if entry["dtype"] == "BF16" else None
      values = np.frombuffer(raw, "<f4") if wide is None else wide.view(np.float32)
      tensors[name] = values.reshape(entry["shape"])
  return tensors
