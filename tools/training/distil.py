"""The commands `distil` and `report`: from folders and files to a student and what it is worth."""

import dataclasses
import hashlib
import pathlib

import torch

from . import distiller, hf_folder, masses, model_config, profile, progress, samples, text, tokenization, transformer
from . import errors
from .distiller import DistilOptions, Pair
from .run_folder import RunFolder

_DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclasses.dataclass(frozen=True)
class Data:
  sample_files: list[pathlib.Path]
  text_path: pathlib.Path | None = None
  text_options: text.TextOptions = text.TextOptions()
  held_out_file: pathlib.Path | None = None
  held_out_share: float = 0.1


@dataclasses.dataclass(frozen=True)
class Models:
  primary: pathlib.Path
  student: pathlib.Path | None  # None: the primary's first layers
  num_layers: int  # of the student; 0: two thirds of what it is cut from
  teacher_band: str  # BEGIN-END, empty: the default
  student_band: str
  dtype: str


class Setup:
  """The models of a run, loaded when they are needed."""

  def __init__(self, models: Models):
    self.primary = models.primary
    self.base = models.student or models.primary
    self.primary_config, _ = model_config.read(self.primary)
    self.base_config, self.base_content = model_config.read(self.base)
    self.num_layers = models.num_layers or max(1, 2 * self.base_config.num_layers // 3)
    if self.num_layers > self.base_config.num_layers:
      raise errors.UsageError(
        f"--student-layers is {self.num_layers}, {self.base.name} has {self.base_config.num_layers} layers"
      )
    self.teacher_band = (
      model_config.parse_band(models.teacher_band, self.primary_config.num_layers, "--teacher-band")
      if models.teacher_band
      else model_config.teacher_band(self.primary_config.num_layers)
    )
    self.student_band = (
      model_config.parse_band(models.student_band, self.num_layers, "--student-band")
      if models.student_band
      else model_config.student_band(self.num_layers)
    )
    self.num_layers = self.student_band.end  # what is above is never run
    self.dtype = _DTYPES[models.dtype]
    self.tokenizers = tokenization.for_models(self.primary, self.base)

  def teacher(self, folder: RunFolder | None, needed_for: list[Pair]) -> masses.Teacher:
    """Without a model if every target is kept already."""
    if folder and all(masses.Teacher(None, self.teacher_band, folder).has(pair.sample) for pair in needed_for):
      return masses.Teacher(None, self.teacher_band, folder)
    decoder = masses.load_decoder(self.primary, self.primary_config, self.teacher_band.end, self.dtype)
    return masses.Teacher(decoder, self.teacher_band, folder)

  def decoder(self, folder: pathlib.Path) -> transformer.Decoder:
    """The student as it lies in `folder`; `base`: before it learnt anything."""
    return masses.load_decoder(folder, self.base_config, self.num_layers, self.dtype)

  def pairs(self, given: list[samples.Sample]) -> list[Pair]:
    samples.check(given, self.primary_config.vocab_size, self.primary_config.max_positions)
    read = [(sample, self.tokenizers.read(sample)) for sample in given]
    pairs = [Pair(sample, student) for sample, student in read if student is not None]
    if not pairs:
      raise errors.DataError("no sample can be tokenised for the student")
    if len(pairs) < len(given):
      progress.say(f"{len(given) - len(pairs)} of {len(given)} samples are left out: their text has other tokens")
    return pairs

  def description(self) -> dict:
    return {
      "primary": str(self.primary.resolve()),
      "base": str(self.base.resolve()),
      "num_layers": self.num_layers,
      "teacher_band": str(self.teacher_band),
      "student_band": str(self.student_band),
      "dtype": "bf16" if self.dtype == torch.bfloat16 else "fp32",
    }


def _read_data(data: Data, setup: Setup, seed: int) -> tuple[list[Pair], list[Pair]]:
  given = [sample for path in data.sample_files for sample in samples.read(path)]
  frame = given[0]
  if data.text_path is not None:
    tokenizer = tokenization.load(setup.primary)
    tokenizer.encode_special_tokens = True
    given += text.make(
      text.read_texts(data.text_path),
      lambda content: tokenizer.encode(content, add_special_tokens=False).ids,
      lambda ids: tokenizer.decode(list(ids), skip_special_tokens=False),
      frame,
      data.text_options,
    )
  if data.held_out_file is None:
    learnt, held_out = samples.split(given, data.held_out_share, seed)
  else:
    learnt, held_out = given, samples.read(data.held_out_file)
  return setup.pairs(learnt), setup.pairs(held_out)


def _digest(pairs: list[Pair]) -> str:
  return hashlib.sha256("".join(pair.sample.digest for pair in pairs).encode()).hexdigest()


def distil(models: Models, data: Data, options: DistilOptions, out: pathlib.Path, run: dict) -> dict:
  """`run`: minutes, resume, quiet. Returns what result.json holds."""
  setup = Setup(models)
  learnt, held_out = _read_data(data, setup, options.seed)
  folder = RunFolder(out)
  description = {**setup.description(), **dataclasses.asdict(options)}
  folder.open({**description, "learnt": _digest(learnt), "held_out": _digest(held_out)}, run["resume"])
  teacher = setup.teacher(folder, learnt + held_out)
  decoder = setup.decoder(setup.base)
  before = folder.read_json("before.json")
  if before is None:
    before = _measure(setup, decoder, teacher, held_out, "held out, before", run["quiet"])
    folder.write_json("before.json", before)
  student = distiller.Distiller(decoder, setup.student_band, teacher, learnt, options)
  if run["resume"] and student.load(folder):
    progress.say(f"goes on behind step {student.step} of {options.steps}", run["quiet"])
  limit = None if run["minutes"] is None else 60 * run["minutes"]
  _train(student, folder, options, limit, run["quiet"])
  stored = hf_folder.load_weights(setup.base, setup.num_layers)
  stored.update({name: weight.to(stored[name].dtype) for name, weight in student.parameters.items()})
  hf_folder.save_student(out, setup.base, setup.base_content, setup.num_layers, stored)
  after = _measure(setup, setup.decoder(out), teacher, held_out, "held out, after", run["quiet"])
  result = {**description, "steps_done": student.step, "samples": len(learnt), "before": before, "after": after}
  folder.write_json("result.json", result)
  _write_profile(out, setup, result)
  return {**result, "out": str(out), "profile": str(out / profile.FILE_NAME)}


def _train(student: distiller.Distiller, folder: RunFolder, options: DistilOptions, limit, quiet: bool) -> None:
  first = student.step
  bar = progress.Progress("steps", options.steps - first, quiet, limit)

  def on_step(now: distiller.Distiller) -> None:
    bar.update(now.step - first, f"KL {now.recent_loss:.4f} (mean of the last {len(now.losses)})")

  student.run(folder, on_step, limit)


def _measure(setup: Setup, decoder, teacher, pairs: list[Pair], label: str, quiet: bool) -> dict:
  bar = progress.Progress(label, len(pairs), quiet)
  return distiller.measure(decoder, setup.student_band, teacher, pairs, bar.update)


def _write_profile(out: pathlib.Path, setup: Setup, result: dict) -> None:
  measured = {"how": "distilled from the primary's attention", "band": str(setup.student_band)}
  measured |= {"steps": result["steps_done"], "kl_before": result["before"]["kl"], "kl_after": result["after"]["kl"]}
  content = profile.make(
    setup.primary, setup.primary_config, out.resolve().name, setup.num_layers, setup.base_config.num_heads,
    setup.student_band, measured,
  )
  folder = RunFolder(out)
  folder.write_json("../" + profile.FILE_NAME, content)


def report(out: pathlib.Path, sample_file: pathlib.Path | None, quiet: bool) -> dict:
  """What the run found, or the same measured on other samples."""
  result = RunFolder(out).read_json("result.json")
  if result is None:
    raise errors.UsageError(f"{out} holds no finished run: `distil` makes one")
  if sample_file is None:
    return {**result, "out": str(out)}
  setup = Setup(
    Models(
      pathlib.Path(result["primary"]), pathlib.Path(result["base"]), result["num_layers"], result["teacher_band"],
      result["student_band"], result["dtype"],
    )
  )
  pairs = setup.pairs(samples.read(sample_file))
  # In memory alone: each sample is asked for twice and then never again.
  teacher = _Remembering(setup.teacher(None, pairs))
  before = _measure(setup, setup.decoder(setup.base), teacher, pairs, "before", quiet)
  after = _measure(setup, setup.decoder(out), teacher, pairs, "after", quiet)
  return {**result, "out": str(out), "before": before, "after": after}


class _Remembering:
  def __init__(self, teacher: masses.Teacher):
    self._teacher = teacher
    self._known = {}

  def mass(self, sample: samples.Sample):
    if sample.digest not in self._known:
      self._known[sample.digest] = self._teacher.mass(sample)
    return self._known[sample.digest]
