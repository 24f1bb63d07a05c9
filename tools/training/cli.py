"""The command line: distil, report, local-heads. See `--help`; exit codes are in errors.py."""

import argparse
import importlib.util
import json
import math
import pathlib

from . import errors, progress

_DESCRIPTION = """Distils the primary's attention into a small auxiliary model for the selector.

The student learns to attend to a request's context tokens as a band of the primary's middle layers does, on the path
that the selector serves with. What comes out is a Hugging Face directory for the setting selector_model, with a profile
that names the trained heads. `local-heads` finds heads of a model that look only around them and writes them into its
profile. See docs/training.md."""

_EXAMPLES = """examples:
  python=$(tools/setup/python_environment.sh training)
  cacheclip eval --tasks all --samples 40 --seed 1001 --context 1500 --chunk 256 --write-samples samples.jsonl
  $python -m tools.training distil --primary MODEL --student-layers 12 --samples samples.jsonl --out student
  $python -m tools.training distil … --out student --resume       the same command goes on where it was stopped
  $python -m tools.training distil --primary MODEL --student OTHER --samples a.jsonl,b.jsonl --text notes/ --out student
  $python -m tools.training report student --samples other.jsonl --json
  $python -m tools.training local-heads --model MODEL --samples samples.jsonl --out profile.json
  cacheclip serve --selector-model student --profile student/cacheclip_profile.json

exit codes: 0 done; 2 usage; 3 samples or texts cannot be used; 5 model not supported; 6 disk full or not writable;
  7 torch or another package is missing; 130 interrupted (--resume goes on)"""

_PACKAGES = ("torch", "safetensors")


def parser() -> argparse.ArgumentParser:
  raw = argparse.RawDescriptionHelpFormatter
  top = argparse.ArgumentParser(
    prog="python -m tools.training", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=raw
  )
  commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

  def add(name: str, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text, epilog=_EXAMPLES, formatter_class=raw)
    command.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    command.add_argument("--quiet", action="store_true", help="no progress on stderr")
    command.add_argument("--threads", type=_positive, help="of the computation; default: as torch chooses")
    return command

  command = add("distil", "train a student and write it as a Hugging Face directory")
  _add_models(command)
  _add_data(command)
  _add_training(command)
  command = add("report", "KL of student and primary before and after")
  command.add_argument("out", type=pathlib.Path, help="the folder that distil wrote")
  command.add_argument("--samples", type=pathlib.Path, help="measure on these; default: what distil measured")
  command = add("local-heads", "find heads that look only around them, and write them into a profile")
  command.add_argument("--model", type=pathlib.Path, required=True, metavar="FOLDER", help="the primary")
  command.add_argument("--samples", type=pathlib.Path, required=True, metavar="FILE", help="of --write-samples")
  command.add_argument(
    "--out", type=pathlib.Path, required=True, metavar="FILE", help="a new profile, or one that is there"
  )
  command.add_argument("--window", type=_positive, default=512, metavar="N", help="tokens; default: %(default)s")
  command.add_argument(
    "--measured-window", type=_positive, default=384, metavar="N",
    help="the same on the samples, which are shorter than what is served; default: %(default)s",
  )
  command.add_argument("--share", type=_share, default=0.46, metavar="X", help="of all heads; default: %(default)s")
  command.add_argument("--seed", type=_count, default=1, metavar="S", help="default: %(default)s")
  return top


def _add_models(command: argparse.ArgumentParser) -> None:
  group = command.add_argument_group("models")
  group.add_argument("--primary", type=pathlib.Path, required=True, metavar="FOLDER", help="the teacher")
  group.add_argument(
    "--student", type=pathlib.Path, metavar="FOLDER",
    help="any other model to start from, also with another tokenizer; default: the primary's first layers",
  )
  group.add_argument(
    "--student-layers", type=_positive, default=0, metavar="N", help="first layers that are kept; default: two thirds"
  )
  group.add_argument("--out", type=pathlib.Path, required=True, metavar="FOLDER", help="the student")
  group.add_argument("--teacher-band", default="", metavar="B-E", help="primary's layers [B, E); default: [L/2, 3L/4)")
  group.add_argument("--student-band", default="", metavar="B-E", help="student's layers; default: its upper half")
  group.add_argument(
    "--dtype", choices=("bf16", "fp32"), default="bf16", help="of the arithmetic; default: %(default)s"
  )


def _add_data(command: argparse.ArgumentParser) -> None:
  group = command.add_argument_group("data")
  group.add_argument(
    "--samples", type=_paths, required=True, metavar="FILE[,FILE…]", help="of cacheclip eval --write-samples"
  )
  group.add_argument("--held-out", type=pathlib.Path, metavar="FILE", help="samples to measure on; default: a share")
  group.add_argument("--held-out-share", type=_share, default=0.1, metavar="X", help="default: %(default)s")
  group.add_argument(
    "--text", type=pathlib.Path, metavar="PATH",
    help="also contexts from this file, or the .txt and .md files of this folder, with pseudo-questions",
  )
  group.add_argument("--text-contexts", type=_positive, default=64, metavar="N", help="default: %(default)s")
  group.add_argument(
    "--context", type=_positive, default=1500, metavar="N", help="its tokens of a context; default: %(default)s"
  )
  group.add_argument("--chunk", type=_positive, default=256, metavar="N", help="of a chunk; default: %(default)s")


def _add_training(command: argparse.ArgumentParser) -> None:
  group = command.add_argument_group("training")
  group.add_argument("--steps", type=_positive, default=400, metavar="N", help="default: %(default)s")
  group.add_argument(
    "--minutes", type=_minutes, metavar="M", help="stop training after that time, and write the student"
  )
  group.add_argument("--batch", type=_positive, default=2, metavar="N", help="samples per step; default: %(default)s")
  group.add_argument("--learning-rate", type=_rate, default=1e-4, metavar="X", help="default: %(default)s")
  group.add_argument(
    "--train", choices=("queries-keys", "attention", "all"), default="all",
    help="weights that learn; default: %(default)s",
  )
  group.add_argument("--train-from", type=_count, default=0, metavar="LAYER", help="layers below stay as they are")
  group.add_argument("--checkpoint-steps", type=_positive, default=25, metavar="N", help="default: %(default)s")
  group.add_argument("--seed", type=_count, default=1, metavar="S", help="default: %(default)s")
  group.add_argument("--resume", action="store_true", help="go on with the run in --out")


def _count(text: str) -> int:
  value = int(text)
  if value < 0:
    raise argparse.ArgumentTypeError(f"must not be negative, got {text}")
  return value


def _positive(text: str) -> int:
  value = int(text)
  if value <= 0:
    raise argparse.ArgumentTypeError(f"must be positive, got {text}")
  return value


def _positive_number(text: str, below: float, what: str) -> float:
  value = float(text)
  if not (math.isfinite(value) and 0 < value < below):
    raise argparse.ArgumentTypeError(f"must be {what}, got {text}")
  return value


def _minutes(text: str) -> float:
  return _positive_number(text, math.inf, "positive")


def _rate(text: str) -> float:
  return _positive_number(text, 1.0, "between 0 and 1")


def _share(text: str) -> float:
  return _positive_number(text, 1.0, "between 0 and 1")


def _paths(text: str) -> list[pathlib.Path]:
  paths = [pathlib.Path(part) for part in text.split(",") if part]
  if not paths:
    raise argparse.ArgumentTypeError("names no file")
  return paths


def _require_packages() -> None:
  missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
  if missing:
    raise errors.MissingPackageError(
      f"needs {' and '.join(missing)}; `tools/setup/python_environment.sh training` prints the Python that has them"
    )


def _check_files(args: argparse.Namespace) -> None:
  """What would only be noticed after minutes of computing."""
  named = [*args.samples, args.held_out, args.text] if args.command == "distil" else [args.samples]
  for path in named:
    if path is not None and not path.exists():
      raise errors.UsageError(f"{path} does not exist")
  of_command = {"distil": ("primary", "student"), "report": ("out",), "local-heads": ("model",)}
  folders = [getattr(args, name) for name in of_command[args.command]]
  for folder in folders:
    if folder is not None and not folder.is_dir():
      raise errors.UsageError(f"{folder} is not a folder")


def _run(args: argparse.Namespace) -> dict:
  _check_files(args)
  _require_packages()
  import torch

  from . import distil, distiller, local_heads, text

  if args.threads:
    torch.set_num_threads(args.threads)
  if args.command == "local-heads":
    options = local_heads.Options(args.window, args.measured_window, args.share, args.seed)
    return local_heads.find(args.model, args.samples, options, args.out, args.quiet)
  if args.command == "report":
    return distil.report(args.out, args.samples, args.quiet)
  options = distiller.DistilOptions(
    steps=args.steps, batch=args.batch, learning_rate=args.learning_rate, trained_parts=args.train,
    first_trained_layer=args.train_from, checkpoint_steps=args.checkpoint_steps, seed=args.seed,
  )
  text_options = text.TextOptions(args.text_contexts, args.context, args.chunk, seed=args.seed)
  return distil.distil(
    distil.Models(args.primary, args.student, args.student_layers, args.teacher_band, args.student_band, args.dtype),
    distil.Data(args.samples, args.text, text_options, args.held_out, args.held_out_share),
    options,
    args.out,
    {"minutes": args.minutes, "resume": args.resume, "quiet": args.quiet},
  )


def _print_heads(result: dict) -> None:
  print(f"{len(result['heads'])} local heads: " + " ".join(f"{layer}.{head}" for layer, head in result["heads"]))
  print(f"far mass {result['far_mass']:.3f}, of all heads {result['far_mass_of_all']:.3f}")
  print(f"information about the answer {result['information']:.2g}, of all heads {result['information_of_all']:.2g}")
  print(f"measure what they cost: cacheclip eval --profile {result['out']} --methods auto,auto+local=no")


def _print_text(result: dict) -> None:
  before, after = result["before"], result["after"]
  change = 1 - after["kl"] / before["kl"] if before["kl"] > 0 else 0.0
  print(f"KL of the student's attention to the primary's, {after['samples']} samples held out:")
  print(f"  before {before['kl']:.4f}, after {after['kl']:.4f} nats ({100 * change:.0f} % less)")
  if "evidence_mass" in after:
    print(
      f"attention on the evidence: before {before['evidence_mass']:.3f}, after {after['evidence_mass']:.3f}, "
      f"primary {after['teacher_evidence_mass']:.3f}"
    )
  if result["steps_done"] < result["steps"]:
    print(f"stopped at step {result['steps_done']} of {result['steps']}: --resume goes on")
  else:
    print(f"{result['steps_done']} steps")
  out = result["out"]
  print(f"use it: --selector-model {out} --profile {out}/cacheclip_profile.json")


def main(argv: list[str] | None = None) -> int:
  args = parser().parse_args(argv)
  try:
    result = _run(args)
  except errors.TrainingError as error:
    progress.say(f"tools.training {args.command}: {error}")
    return error.code
  except OSError as error:
    progress.say(f"tools.training {args.command}: {error.filename or 'a file'}: {error.strerror or error}")
    return errors.EXIT_STORAGE
  except KeyboardInterrupt:
    goes_on = "; the same command with --resume goes on behind the last checkpoint" if args.command == "distil" else ""
    progress.say("interrupted" + goes_on)
    return errors.EXIT_INTERRUPTED
  if args.json:
    print(json.dumps(result, indent=2))
  elif args.command == "local-heads":
    _print_heads(result)
  else:
    _print_text(result)
  return errors.EXIT_OK
