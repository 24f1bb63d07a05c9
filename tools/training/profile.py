"""cacheclip_profile.json (services/runtime/model_profile.h): which heads of the student the selector listens to, and
what is known of the primary's own."""

import json
import pathlib

from . import errors
from .model_config import Band, ModelConfig

FILE_NAME = "cacheclip_profile.json"
_FORMAT = 1
_DEFAULT_SEAM_TOKENS = 16  # kDefaultSeamTokens of services/runtime/service_runtime.cc
_MAX_LISTED_HEADS = 1024


def make(
  primary: pathlib.Path, primary_config: ModelConfig, student_name: str, num_layers: int, num_heads: int, band: Band,
  measured: dict,
) -> dict:
  """Every head of the band counts alike, as in training. What an earlier profile in the primary's folder says about the
  primary itself stays, because a server reads one profile."""
  if (band.end - band.begin) * num_heads > _MAX_LISTED_HEADS:
    raise errors.UnsupportedModelError(
      f"the band {band} has more heads than the {_MAX_LISTED_HEADS} that a profile may list: narrow --student-band"
    )
  auxiliary = {
    "name": f"{student_name}, {num_layers} layers",
    "heads": [[layer, head] for layer in range(band.begin, band.end) for head in range(num_heads)],
  }
  return {**of_primary(primary, primary_config, primary / FILE_NAME), "auxiliary": auxiliary, "measured": measured}


def of_primary(primary: pathlib.Path, config: ModelConfig, earlier: pathlib.Path) -> dict:
  """What the profile at `earlier` says, if there is one, about this model."""
  shape = {"model": primary.name, "num_layers": config.num_layers, "num_heads": config.num_heads}
  content = {"format": _FORMAT, **shape, "auxiliary": {"name": "", "heads": []}, "probe": {"heads": []}}
  content |= {"seam_tokens": _DEFAULT_SEAM_TOKENS, "measured": {}, **_earlier(earlier)}
  if {name: content[name] for name in shape} != shape:
    raise errors.UsageError(f"{earlier} is a profile of {content['model']}, not of {primary.name}")
  return content


def _earlier(path: pathlib.Path) -> dict:
  try:
    return json.loads(path.read_text(encoding="utf-8"))
  except FileNotFoundError:
    return {}
  except ValueError as error:
    raise errors.UsageError(f"{path}: {error}") from error
