"""Progress on stderr: a line that is redrawn on a terminal, a few plain lines elsewhere."""

import sys
import time

_REDRAW_SECONDS = 0.1


class Progress:
  """Counts work units of one step. Not for use by several threads."""

  def __init__(self, label: str, total: int, quiet: bool = False):
    self._label = label
    self._total = max(total, 1)
    self._quiet = quiet
    self._terminal = sys.stderr.isatty()
    self._drawn_at = 0.0
    self._next_plain_percent = 25

  def update(self, done: int) -> None:
    if self._quiet:
      return
    percent = 100 * done // self._total
    if self._terminal:
      now = time.monotonic()
      if now - self._drawn_at >= _REDRAW_SECONDS or done >= self._total:
        self._drawn_at = now
        print(
          f"\r{self._label}: {percent:3d} %",
          end="\n" if done >= self._total else "",
          file=sys.stderr,
          flush=True,
        )
    elif percent >= self._next_plain_percent:
      self._next_plain_percent = percent - percent % 25 + 25
      print(f"{self._label}: {percent} %", file=sys.stderr, flush=True)


def say(text: str, quiet: bool = False) -> None:
  if not quiet:
    print(text, file=sys.stderr, flush=True)
