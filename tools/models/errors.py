"""The errors that end a command, each with its exit code (documented in docs/models.md)."""

import errno

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_DOWNLOAD = 3
EXIT_DIGEST = 4
EXIT_UNSUPPORTED = 5
EXIT_STORAGE = 6
EXIT_ENVIRONMENT = 7
EXIT_INTERRUPTED = 130


class ModelToolError(Exception):
  """A failure that a person can act on; `code` is the exit code of the command."""

  code = 1


class UsageError(ModelToolError):
  code = EXIT_USAGE


class DownloadError(ModelToolError):
  code = EXIT_DOWNLOAD


class DigestError(ModelToolError):
  code = EXIT_DIGEST


class UnsupportedModelError(ModelToolError):
  code = EXIT_UNSUPPORTED


class StorageError(ModelToolError):
  code = EXIT_STORAGE


class EnvironmentSetupError(ModelToolError):
  code = EXIT_ENVIRONMENT


def from_os_error(error: OSError) -> StorageError:
  """Says what a failed file operation means for the person who ran the command."""
  path = error.filename or "a file"
  if error.errno == errno.ENOSPC:
    return StorageError(
      f"the disk is full (writing {path}): free some space or point CACHECLIP_CACHE and "
      "CACHECLIP_MODELS at a larger disk, then run the same command again"
    )
  if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
    return StorageError(
      f"no permission to write {path}: set CACHECLIP_CACHE and CACHECLIP_MODELS to folders of your own"
    )
  return StorageError(f"{error.strerror or error}: {path}")
