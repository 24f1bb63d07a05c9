"""Hugging Face directories of small models with fixed random weights."""

import json
import pathlib
import shutil

import safetensors.torch
import torch

_TOKENIZER = pathlib.Path(__file__).resolve().parents[2] / "data" / "text" / "tiny-chatml" / "tokenizer.json"

CONFIG = {
  "model_type": "llama",
  "hidden_size": 64,
  "intermediate_size": 96,
  "num_hidden_layers": 4,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "vocab_size": 1024,
  "max_position_embeddings": 4096,
  "rms_norm_eps": 1e-5,
  "rope_theta": 10000.0,
  "tie_word_embeddings": True,
}


def write(folder: pathlib.Path, seed: int = 1, **changes) -> pathlib.Path:
  """Attention is sharp enough to differ from token to token."""
  config = CONFIG | changes
  generator = torch.Generator().manual_seed(seed)
  hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
  dim = hidden // heads
  shapes = {"model.embed_tokens.weight": (config["vocab_size"], hidden), "model.norm.weight": (hidden,)}
  for index in range(config["num_hidden_layers"]):
    layer = f"model.layers.{index}."
    shapes |= {layer + f"{name}.weight": (hidden,) for name in ("input_layernorm", "post_attention_layernorm")}
    rows = {"q": heads * dim, "k": config["num_key_value_heads"] * dim, "v": config["num_key_value_heads"] * dim}
    shapes |= {f"{layer}self_attn.{name}_proj.weight": (count, hidden) for name, count in rows.items()}
    shapes[layer + "self_attn.o_proj.weight"] = (hidden, heads * dim)
    shapes |= {f"{layer}mlp.{name}_proj.weight": (inner, hidden) for name in ("gate", "up")}
    shapes[layer + "mlp.down_proj.weight"] = (hidden, inner)
  weights = {
    name: torch.ones(shape) if len(shape) == 1 else torch.randn(shape, generator=generator) * 2 / hidden**0.5
    for name, shape in shapes.items()
  }
  folder.mkdir(parents=True)
  safetensors.torch.save_file(weights, folder / "model.safetensors")
  (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
  shutil.copyfile(_TOKENIZER, folder / "tokenizer.json")
  return folder


def write_character_tokenizer(path: pathlib.Path) -> None:
  """One token per character."""
  import tokenizers

  characters = {chr(code): code for code in range(500)}
  model = tokenizers.models.WordLevel(characters, unk_token="?")
  tokenizer = tokenizers.Tokenizer(model)
  tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex("[\\s\\S]"), behavior="isolated")
  tokenizer.save(str(path))
