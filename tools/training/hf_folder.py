"""Hugging Face directories: the weights of a model's first layers in, a student out."""

import json
import pathlib
import re
import shutil

import safetensors
import safetensors.torch
import torch

from . import errors

_TEXT_FILES = (
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
  "generation_config.json",
)
_LAYER = re.compile(r"model\.layers\.(\d+)\.")


def load_weights(folder: pathlib.Path, num_layers: int) -> dict[str, torch.Tensor]:
  """Of the first `num_layers` layers and everything that is in no layer, as stored."""
  files = sorted(folder.glob("*.safetensors"))
  if not files:
    raise errors.UsageError(f"{folder} holds no *.safetensors")
  weights = {}
  for path in files:
    try:
      with safetensors.safe_open(path, framework="pt") as content:
        for name in content.keys():
          layer = _LAYER.match(name)
          if layer is None or int(layer[1]) < num_layers:
            weights[name] = content.get_tensor(name)
    except safetensors.SafetensorError as error:
      raise errors.UsageError(f"{path}: {error}") from error
  for name in ("model.embed_tokens.weight", f"model.layers.{num_layers - 1}.self_attn.q_proj.weight"):
    if name not in weights:
      raise errors.UnsupportedModelError(f"{folder} lacks the tensor {name}")
  return weights


def save_student(
  folder: pathlib.Path, base: pathlib.Path, content: dict, num_layers: int, weights: dict[str, torch.Tensor]
) -> None:
  """`content`: config.json of `base`. The configuration, which makes it a model, is written last."""
  content = {**content, "num_hidden_layers": num_layers}
  if isinstance(content.get("layer_types"), list):
    content["layer_types"] = content["layer_types"][:num_layers]
  for name in _TEXT_FILES:
    if (base / name).is_file():
      shutil.copyfile(base / name, folder / name)
  config = folder / "config.json.partial"
  config.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
  partial = folder / "model.safetensors.partial"
  tensors = {name: tensor.detach().contiguous() for name, tensor in weights.items()}
  try:
    safetensors.torch.save_file(tensors, partial, metadata={"format": "pt"})
  except safetensors.SafetensorError as error:
    raise errors.StorageError(f"{folder / 'model.safetensors'} cannot be written: {error}") from error
  partial.chmod(config.stat().st_mode)  # safetensors writes for its owner alone, a server may be somebody else
  partial.replace(folder / "model.safetensors")
  config.replace(folder / "config.json")
