"""One GGUF file into one Hugging Face directory, visible only when it is complete."""

import json
import pathlib
import tempfile

from . import errors
from . import manifest
from . import paths
from . import progress

DTYPES = {"bf16": ("BF16", "bfloat16"), "f32": ("F32", "float32")}
# Beside the weights: tokenizer and configuration files, with room to spare.
_OTHER_FILES_BYTES = 32_000_000


def convert(gguf_path: pathlib.Path, target: pathlib.Path, dtype: str, source: dict, quiet: bool) -> dict:
  """Writes `target` from `gguf_path` and returns the manifest. Needs numpy and gguf (see environment.py)."""
  from . import gguf_model  # pylint: disable=import-outside-toplevel
  from . import gguf_tokenizer  # pylint: disable=import-outside-toplevel
  from . import safetensors_file  # pylint: disable=import-outside-toplevel

  model = gguf_model.GgufModel(gguf_path)
  tokenizer = gguf_tokenizer.GgufTokenizer(model)
  stored, torch_dtype = DTYPES[dtype]
  shapes = model.shapes()
  weight_bytes = safetensors_file.payload_bytes(shapes.values(), stored)
  target.parent.mkdir(parents=True, exist_ok=True)
  paths.require_free_bytes(target.parent, weight_bytes + _OTHER_FILES_BYTES)
  with paths.exclusive_lock(paths.cache_dir() / "locks" / f"{target.name}.convert.lock"):
    prefix = f".{target.name}.partial-"
    paths.remove_leftovers(target.parent, prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as parent:
      partial = pathlib.Path(parent) / target.name
      partial.mkdir()
      documents = {
        "config.json": model.config(torch_dtype),
        "tokenizer.json": tokenizer.tokenizer_json(),
        "tokenizer_config.json": tokenizer.tokenizer_config_json(),
        "generation_config.json": tokenizer.generation_config_json(),
      }
      for name, content in documents.items():
        _write_json(partial / name, content)
      bar = progress.Progress(f"converting {target.name}", weight_bytes, quiet)
      safetensors_file.write(partial / "model.safetensors", shapes, stored, model.load, bar.update)
      content = manifest.write(partial, source, dtype)
      paths.replace_dir(partial, target)
  return content


def check_target(target: pathlib.Path, may_replace: bool) -> None:
  """Refuses to write over what another tool or a person put there, and over own work unless asked to."""
  if target.exists() and not target.is_dir():
    raise errors.UsageError(f"{target} is not a directory")
  if not target.is_dir() or not any(target.iterdir()):
    return
  if not (target / manifest.FILE_NAME).is_file():
    raise errors.UsageError(
      f"{target} is not empty and was not written by this tool: move it or choose another place"
    )
  if not may_replace:
    raise errors.UsageError(f"{target} is already there: choose another --out, or --force to replace it")


def _write_json(path: pathlib.Path, content: dict) -> None:
  with open(path, "w", encoding="utf-8") as handle:
    json.dump(content, handle, indent=2, ensure_ascii=False)
    handle.write("\n")
