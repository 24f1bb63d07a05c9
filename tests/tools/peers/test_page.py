"""The page about performance: medians, ratios and limits are those of the numbers it is given."""

import json
import pathlib

import pytest

from tests.benchmarks.peers import page


def _sample(what, size, precision, who, seconds, floor=()):
  return {"what": what, "size": size, "precision": precision, "who": who, "seconds": seconds,
          "floor_seconds": list(floor)}  # fmt: skip


@pytest.fixture(name="report")
def _report():
  return {
    "date": "2026-01-02", "machine": "A CPU", "instruction_sets": ["AVX2"], "threads": 2, "rounds": 3,
    "command": "python -m tests.benchmarks.peers.run", "failures": ["llama.cpp f16: it ended"],
    "samples": [
      _sample("prefill", 512, "bf16", "openvino f16", [3.0, 2.0, 9.0]),
      _sample("prefill", 512, "bf16", "llama.cpp bf16", [5.0]),
      _sample("prefill", 512, "bf16", "cacheclip", [2.0, 1.0, 1.5], [0.75, 0.75, 0.75]),
      _sample("decode", 16, "int8", "cacheclip", [0.008], [0.006]),
    ],
    "ttft": [
      {"context_tokens": 512, "method": "auxiliary", "budget": budget, "charged_budget": budget, "ttft_seconds": 0.5,
       "ttft_range_seconds": [0.4, 0.6], "full_prefill_seconds": 1.5, "speedup": 3.0,
       "stage_seconds": {"select": 0.15},
       "limits": {"ideal_speedup": 4.0, "ttft_floor_seconds": 0.4}}
      for budget in (0.1, 0.2)
    ],
    "recompute": {
      "recompute": {
        "context_tokens": 512,
        "results": [{"recomputed_tokens": 100, "recompute_seconds": 0.3},
                    {"recomputed_tokens": 200, "recompute_seconds": 0.5}],
        "line": {"seconds_without_tokens": 0.1, "seconds_per_token": 0.002, "largest_deviation": 0.03},
      },
      "store": {"results": [
        {"operation": "get", "bytes_per_second": {"median": 9e9}},
        {"operation": "get and assemble", "bytes_per_second": {"median": 4e9}, "limit": "memcpy",
         "limit_bytes_per_second": {"median": 5e9}, "ratio": {"median": 0.8}},
      ]},
    },
  }  # fmt: skip


def _row(text, start):
  return next(line for line in text.splitlines() if line.startswith(start))


def test_ratios_are_of_medians_against_the_fastest_peer(report, tmp_path):
  row = _row(page.page(report, tmp_path / "performance.md"), "| 512 | 1.5 [1, 2]")
  assert "| 3 [2, 9] |" in row and "2.00 (openvino f16)" in row and "50 %" in row


def test_a_class_without_peers_has_no_ratio(report, tmp_path):
  assert _row(page.page(report, tmp_path / "p.md"), "| 16 | 8 [8, 8]").endswith("| – | 75 % |")


def test_first_tokens_are_compared_with_full_prefill_limit_and_peer(report, tmp_path):
  row = _row(page.page(report, tmp_path / "p.md"), "| 512 | auxiliary | 20 %")
  assert "| 3.00 | 4.00 | 1.25 | 6.0 | 10.0 % |" in row


def test_recomputing_is_a_line_and_assembly_a_share_of_copying(report, tmp_path):
  text = page.page(report, tmp_path / "p.md")
  assert "2.00 ms a selected token" in text and "than 3 % of the longest" in text
  assert "| get and assemble | 4.00 | memcpy | 5.00 | 80 % |" in text and "| get |" not in text


def test_what_was_not_asked_for_is_left_out(report, tmp_path):
  report["recompute"] = None
  assert "Recomputing" not in page.page(report, tmp_path / "p.md")


def test_a_peer_that_failed_is_named_and_what_everyone_computes_in(report, tmp_path):
  text = page.page(report, tmp_path / "p.md")
  assert "Not measured: llama.cpp f16: it ended" in text and "compute in bf16 or in fp32" in text


def test_the_program_writes_page_and_plots_and_names_a_bad_file(report, tmp_path, capsys):
  measured = tmp_path / "measured.json"
  measured.write_text(json.dumps(report), encoding="utf-8")
  out = tmp_path / "performance.md"
  assert page.main([str(measured), "--out", str(out), "--note", "Before the change."]) == 0
  assert "\nBefore the change.\n" in out.read_text(encoding="utf-8")
  for name in ("context", "budget", "recompute"):
    assert f"performance/{name}.svg" in out.read_text(encoding="utf-8")
    assert (tmp_path / "performance" / f"{name}.svg").is_file()
  bad = pathlib.Path(tmp_path / "bad.json")
  bad.write_text("{}", encoding="utf-8")
  assert page.main([str(bad), "--out", str(out)]) == 1
  assert "bad.json" in capsys.readouterr().err
