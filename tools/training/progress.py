"""Progress on stderr: a line that is redrawn on a terminal, now and then a plain line elsewhere."""

import sys
import time

_REDRAW_SECONDS = 0.2
_PLAIN_SECONDS = 30.0


def duration_text(seconds: float) -> str:
  """`95` → `1 min 35 s`; whole minutes beyond ten."""
  seconds = max(0, round(seconds))
  if seconds < 60:
    return f"{seconds} s"
  if seconds < 600:
    return f"{seconds // 60} min {seconds % 60} s"
  return f"{seconds // 60} min"


def seconds_left(done: int, total: int, seconds: float, limit_seconds: float | None = None) -> float | None:
  """What is left of `total` steps at the speed so far, or of the time limit if that ends first."""
  if done <= 0:
    return None
  left = (total - done) * seconds / done
  return left if limit_seconds is None else max(0.0, min(left, limit_seconds - seconds))


class Progress:
  """Counts the steps of one phase. `clock` returns seconds; not for use by several threads."""

  def __init__(
    self, label: str, total: int, quiet: bool = False, limit_seconds: float | None = None, clock=time.monotonic
  ):
    self._label = label
    self._total = total
    self._quiet = quiet
    self._limit_seconds = limit_seconds
    self._clock = clock
    self._begin = clock()
    self._terminal = sys.stderr.isatty()
    self._drawn_at = None

  def update(self, done: int, note: str = "") -> None:
    """`done` of the steps since this object was made."""
    now = self._clock()
    is_last = done >= self._total
    wait = _REDRAW_SECONDS if self._terminal else _PLAIN_SECONDS
    if self._quiet or (not is_last and self._drawn_at is not None and now - self._drawn_at < wait):
      return
    self._drawn_at = now
    left = seconds_left(done, self._total, now - self._begin, self._limit_seconds)
    text = f"{self._label}: {done}/{self._total}{', ' + note if note else ''}"
    if left is not None and not is_last:
      text += f", about {duration_text(left)} left"
    if self._terminal:
      print(f"\r{text}\x1b[K", end="\n" if is_last else "", file=sys.stderr, flush=True)
    else:
      print(text, file=sys.stderr, flush=True)


def say(text: str, quiet: bool = False) -> None:
  if not quiet:
    print(text, file=sys.stderr, flush=True)
