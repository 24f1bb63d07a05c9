"""Which heads are found to look only around them, and where that is written down."""

import json
import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch (tools/golden/requirements.txt)")

import sample_lines  # noqa: E402
import small_models  # noqa: E402

from tools.training import cli, errors, local_heads, masses, model_config, samples  # noqa: E402

WINDOW = 20


@pytest.fixture(name="work")
def fixture_work(tmp_path):
  small_models.write(tmp_path / "model")
  sample_lines.write(tmp_path / "samples.jsonl", 3, chunk_tokens=70)
  return tmp_path


def find(work, *options) -> int:
  arguments = ["--model", work / "model", "--samples", work / "samples.jsonl", "--out", work / "profile.json"]
  return cli.main(["local-heads", "--quiet", "--measured-window", str(WINDOW), *map(str, arguments), *options])


def load(work):
  config, _ = model_config.read(work / "model")
  return masses.load_decoder(work / "model", config, config.num_layers, torch.float32)


def run(decoder, ids, near_heads=(), near=None):
  """Logits of the last row; the kv heads (layer, head) in `near_heads` see `near` alone."""
  config = decoder.config
  hidden, positions = decoder.embed(torch.tensor([ids])), torch.arange(len(ids))
  visible = positions[None] <= positions[:, None]
  group = config.num_heads // config.num_kv_heads
  for layer in range(config.num_layers):
    rows = decoder.project(layer, hidden)
    queries, keys = decoder.rotate(rows.queries, positions), decoder.rotate(rows.keys, positions)
    attended = decoder.attend(queries, keys, rows.values, visible)
    for head in (head for at, head in near_heads if at == layer):
      columns = slice(head * group * config.head_dim, (head + 1) * group * config.head_dim)
      attended[..., columns] = decoder.attend(queries, keys, rows.values, near)[..., columns]
    hidden = decoder.finish(layer, hidden, attended)
  return decoder.logits(hidden[0, -1:]).log_softmax(-1)


def test_information_is_what_leaving_out_costs_and_far_mass_what_is_left_out(work):
  sample = samples.read(work / "samples.jsonl")[0]
  decoder = load(work)
  config = decoder.config
  with torch.no_grad():  # close to linear, as the first order wants it
    for name in decoder.weights:
      if "o_proj" in name:
        decoder.weights[name] *= 0.02
  measure = local_heads._Measure(decoder, WINDOW)
  torch.manual_seed(1)
  for _ in range(60):
    measure.add(sample, [])
  ids = [*sample.prefix_ids, *(i for chunk in sample.chunk_ids for i in chunk), *sample.questions[0].suffix_ids]
  positions = torch.arange(len(ids))
  visible = positions[None] <= positions[:, None]
  near = visible & ((positions[None] < local_heads.BEGINNING) | (positions[None] > positions[:, None] - WINDOW))
  near |= visible & (positions[:, None] >= len(ids) - len(sample.questions[0].suffix_ids))
  usual = run(decoder, ids)
  costs = torch.zeros(config.num_layers, config.num_kv_heads)
  for layer in range(config.num_layers):
    for head in range(config.num_kv_heads):
      changed = run(decoder, ids, [(layer, head)], near)
      costs[layer, head] = 2 * (usual.exp() * (usual - changed)).sum()
  found = measure.information / measure.num_answers
  first = found[0]  # the last layer's context rows reach no answer, its neighbours hardly do
  assert torch.allclose(first, costs[0], rtol=0.5), (found, costs)
  assert found[-1].abs().max() == 0
  far_mass = measure.far_mass / measure.num_samples
  assert ((far_mass > 0) & (far_mass < 1)).all()


def test_heads_are_ranked_by_both_numbers():
  information = torch.tensor([[0.0, 5.0], [1.0, 2.0], [0.0, 0.0]])
  far_mass = torch.tensor([[0.1, 0.0], [0.2, 0.9], [0.0, 0.0]])
  assert local_heads.choose(information, far_mass, 0.25) == [[0, 0]]
  assert local_heads.choose(information, far_mass, 0.5) in ([[0, 0], [0, 1]], [[0, 0], [1, 0]])
  assert local_heads.choose(information, far_mass, 0.99) == [[0, 0], [0, 1], [1, 0], [1, 1]], "not of the last layer"


def test_profile_gets_them_and_keeps_what_it_says(work, capsys):
  assert find(work, "--share", "0.5", "--window", "300", "--json") == 0
  printed = json.loads(capsys.readouterr().out)
  content = json.loads((work / "profile.json").read_text(encoding="utf-8"))
  assert content["local"] == {"window": 300, "heads": printed["heads"]}
  assert len(printed["heads"]) == 3
  assert (content["model"], content["num_layers"], content["num_heads"]) == ("model", 4, 4)
  assert not math.isnan(printed["information"])
  content["stale_weight"] = 0.7
  (work / "profile.json").write_text(json.dumps(content), encoding="utf-8")
  assert find(work, "--share", "0.99") == 0
  assert "6 local heads: 0.0 0.1" in capsys.readouterr().out
  again = json.loads((work / "profile.json").read_text(encoding="utf-8"))
  assert (again["stale_weight"], len(again["local"]["heads"])) == (0.7, 6)


def test_wrong_input_is_refused(work, capsys):
  assert find(work, "--measured-window", "500") == errors.EXIT_DATA
  assert "nothing stands far" in capsys.readouterr().err
  (work / "profile.json").write_text('{"model": "other"}', encoding="utf-8")
  assert find(work) == errors.EXIT_USAGE
  assert "profile of other" in capsys.readouterr().err
  (work / "samples.jsonl").unlink()
  assert find(work) == errors.EXIT_USAGE
  assert "samples.jsonl does not exist" in capsys.readouterr().err
