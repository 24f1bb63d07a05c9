"""The demo model as the files that the peers read: GGUF in f16, bf16 and q8_0, of the same weights as our folder.

Every tensor comes from the converted folder's own source, the GGUF that `cacheclip models fetch` keeps; matrices are
stored in the wanted type, vectors in fp32, and the description of model and tokenizer is copied.
"""

import os
import pathlib

import gguf

TYPES = {
  "f16": gguf.GGMLQuantizationType.F16,
  "bf16": gguf.GGMLQuantizationType.BF16,
  "q8_0": gguf.GGMLQuantizationType.Q8_0,
}
_FILE_TYPES = {"f16": gguf.LlamaFileType.MOSTLY_F16, "bf16": gguf.LlamaFileType.MOSTLY_BF16,
               "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}  # fmt: skip
_WRITTEN_BY_THE_WRITER = ("GGUF.", "general.architecture", "general.file_type", "general.quantization_version")


def _copy_fields(reader: gguf.GGUFReader, writer: gguf.GGUFWriter) -> None:
  for field in reader.fields.values():
    if field.name.startswith(_WRITTEN_BY_THE_WRITER):
      continue
    kind = field.types[0]
    element = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
    writer.add_key_value(field.name, field.contents(), kind, sub_type=element)


def write(source: pathlib.Path, target: pathlib.Path, kind: str) -> None:
  """Writes `target` whole or not at all."""
  reader = gguf.GGUFReader(source)
  architecture = reader.get_field("general.architecture").contents()
  partial = target.with_suffix(".partial")
  writer = gguf.GGUFWriter(partial, architecture)
  _copy_fields(reader, writer)
  writer.add_file_type(_FILE_TYPES[kind])
  writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
  for tensor in reader.tensors:
    values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    values = values.reshape(tuple(int(size) for size in reversed(tensor.shape)))
    wanted = TYPES[kind] if values.ndim == 2 else gguf.GGMLQuantizationType.F32
    # Our folder holds bf16: what a peer computes with starts from the same numbers.
    values = gguf.quants.dequantize(gguf.quants.quantize(values, TYPES["bf16"]), TYPES["bf16"]).reshape(values.shape)
    writer.add_tensor(tensor.name, gguf.quants.quantize(values, wanted), raw_dtype=wanted)
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()
  os.replace(partial, target)


def files(cache: pathlib.Path) -> dict[str, pathlib.Path]:
  """The file of each type, made if it is missing."""
  sources = sorted((cache / "downloads").glob("SmolLM2-135M-Instruct*.gguf"))
  if not sources:
    raise FileNotFoundError(f"no demo model under {cache}/downloads: run `make models` first")
  folder = cache / "peers"
  folder.mkdir(parents=True, exist_ok=True)
  made = {}
  for kind in TYPES:
    made[kind] = folder / f"SmolLM2-135M-Instruct.{kind}.gguf"
    if not made[kind].is_file():
      write(sources[0], made[kind], kind)
  return made
