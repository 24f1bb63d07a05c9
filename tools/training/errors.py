"""The errors that end a command, each with its exit code (documented in docs/training.md)."""

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_DATA = 3
EXIT_UNSUPPORTED = 5
EXIT_STORAGE = 6
EXIT_ENVIRONMENT = 7
EXIT_INTERRUPTED = 130


class TrainingError(Exception):
  """A failure that a person can act on; `code` is the exit code of the command."""

  code = 1


class UsageError(TrainingError):
  code = EXIT_USAGE


class DataError(TrainingError):
  """Samples or texts that cannot be learnt from."""

  code = EXIT_DATA


class UnsupportedModelError(TrainingError):
  code = EXIT_UNSUPPORTED


class StorageError(TrainingError):
  code = EXIT_STORAGE


class MissingPackageError(TrainingError):
  code = EXIT_ENVIRONMENT
