"""Plots as SVG: KL against budget, and against the measured share of full prefill's time."""

import pathlib

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "cacheclip"  # the same lines give the same bytes
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)

from . import records  # noqa: E402


def _save(figure, path: pathlib.Path) -> None:
  figure.tight_layout()
  figure.savefig(path, format="svg", metadata={"Date": None})
  plt.close(figure)


def _mean(values: dict) -> float:
  return sum(values.values()) / len(values)


def kl_against_budget(matrix: records.Matrix, path: pathlib.Path) -> None:
  """One line per method over the budgets it was charged."""
  figure, axes = plt.subplots(figsize=(7, 4.5))
  for method in matrix.methods:
    budgets = matrix.budgets(method)
    charged = [_mean(matrix.values(method, budget, "charged_budget")) for budget in budgets]
    kl = [_mean(matrix.values(method, budget, "kl")) for budget in budgets]
    if len(budgets) > 1:
      axes.plot(charged, kl, marker="o", label=method)
    elif method != "full":
      axes.axhline(kl[0], linestyle=":", color="grey", label=method)
  axes.set(xlabel="charged budget", ylabel="KL(full ‖ method), nats per token", ylim=(0, None))
  axes.legend(fontsize=8)
  _save(figure, path)


def kl_against_time(matrix: records.Matrix, path: pathlib.Path) -> None:
  """The same against assembling + selecting + recomputing, as a share of full prefill's time."""
  figure, axes = plt.subplots(figsize=(7, 4.5))
  for method in matrix.methods:
    points = []
    for budget in matrix.budgets(method):
      share = _mean(matrix.values(method, budget, "seconds")) / _mean(matrix.values(method, budget, "full_seconds"))
      points.append((share, _mean(matrix.values(method, budget, "kl"))))
    if method != "full":
      axes.plot(*zip(*sorted(points)), marker="o", label=method)
  axes.set(xlabel="time to first token ÷ full prefill's", ylabel="KL(full ‖ method), nats per token", ylim=(0, None))
  axes.legend(fontsize=8)
  _save(figure, path)
