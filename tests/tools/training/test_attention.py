"""The attention that is learnt and the attention that learns are those of transformers, seen as the parts see them that
serve: chunks that know only the prefix, and a question over all of them."""

import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch (tools/golden/requirements.txt)")
pytest.importorskip("transformers", reason="the oracle (tools/golden/requirements.txt)")

import tiny_models  # noqa: E402

from tools.training import hf_folder, masses, model_config, transformer  # noqa: E402
from tools.training.samples import Question, Sample  # noqa: E402
from tools.training.tokenization import SameTokenizer  # noqa: E402

BAND = model_config.Band(1, 3)
PREFIX, CHUNKS, SUFFIX = (5, 6, 7, 8, 9), ((11, 12, 13, 14, 15, 16), (21, 22, 23), (31, 32, 33, 34)), (41, 42, 43, 44)
SAMPLE = Sample(PREFIX, CHUNKS, (Question(SUFFIX, 1, 3), Question(SUFFIX[::-1], 0, 4)))


@pytest.fixture(name="oracle", params=("llama", "mistral", "qwen2", "qwen3"))
def fixture_oracle(request, tmp_path):
  model = tiny_models.build(request.param)
  with torch.no_grad():
    for parameter in model.parameters():
      if parameter.dim() == 2:
        parameter.mul_(3)  # sharper attention than the formula's
  model.save_pretrained(tmp_path / request.param)
  return model, tmp_path / request.param


def decoder(folder, num_layers=BAND.end):
  config, _ = model_config.read(folder)
  return transformer.Decoder(config, hf_folder.load_weights(folder, num_layers), torch.float32)


def reference(model, rows, row_position, chunk_positions, counting):
  """Attention of the `counting` last rows on the chunks, mean over rows, heads and the band, by transformers in one
  sequence. Every chunk has a copy of the prefix before it, which it alone sees: relative positions are all that counts,
  so its rows are those of a chunk that was encoded behind the prefix and placed elsewhere afterwards."""
  ids, positions, owner = [*PREFIX], [*range(len(PREFIX))], [("prefix", 0)] * len(PREFIX)
  for number, (chunk, begin) in enumerate(zip(CHUNKS, chunk_positions)):
    ids += (*PREFIX, *chunk)
    positions += range(begin - len(PREFIX), begin + len(chunk))
    owner += [("copy", number)] * len(PREFIX) + [("chunk", number)] * len(chunk)
  ids += rows
  positions += range(row_position, row_position + len(rows))
  owner += [("rows", 0)] * len(rows)
  seen = {"prefix": ("prefix",), "copy": ("copy",), "chunk": ("copy", "chunk"), "rows": ("prefix", "chunk", "rows")}
  visible = torch.tensor([
    [slot <= row and kind in seen[owner[row][0]] and (owner[row][0] == "rows" or number == owner[row][1])
     for slot, (kind, number) in enumerate(owner)]
    for row in range(len(ids))
  ])
  mask = torch.zeros(visible.shape).masked_fill(~visible, torch.finfo(torch.float32).min)[None, None]
  with torch.no_grad():
    output = model(
      torch.tensor([ids]), position_ids=torch.tensor([positions]), attention_mask=mask, output_attentions=True
    )
  layers = torch.stack(output.attentions[BAND.begin : BAND.end])[:, 0]
  context = [slot for slot, (kind, _) in enumerate(owner) if kind == "chunk"]
  return layers[:, :, -counting:][..., context].mean((0, 1, 2))


def served_positions():
  """Where each chunk begins, and where the rows behind the last one do."""
  begins = [len(PREFIX), len(PREFIX) + len(CHUNKS[0]), len(PREFIX) + len(CHUNKS[0]) + len(CHUNKS[1])]
  return begins, begins[-1] + len(CHUNKS[-1])


def test_teacher_attends_as_the_primary_over_its_stale_cache(oracle):
  model, folder = oracle
  mass = masses.Teacher(decoder(folder), BAND, None).mass(SAMPLE)
  begins, end = served_positions()
  for row, question in zip(mass, SAMPLE.questions):
    rows = question.suffix_ids[: question.end]
    torch.testing.assert_close(row, reference(model, rows, end, begins, len(question.ids)), atol=1e-6, rtol=1e-4)
  assert mass.sum(-1).max() < 1  # prefix and question have their share


def test_student_attends_as_the_selector_over_the_assembled_chunks(oracle):
  model, folder = oracle
  mass = masses.student_mass(decoder(folder), SameTokenizer().read(SAMPLE), BAND)
  begins, end = served_positions()
  for row, question in zip(mass, SAMPLE.questions):
    wanted = reference(model, question.ids, end, begins, len(question.ids))
    torch.testing.assert_close(row, wanted, atol=1e-6, rtol=1e-4)


def test_divergence_is_zero_for_the_same_distribution_alone():
  mass = torch.tensor([[0.1, 0.2, 0.1]])
  wanted = masses.as_distribution(mass)
  assert masses.divergence(wanted, mass * 2).item() == pytest.approx(0, abs=1e-6)
  other = torch.tensor([[0.2, 0.1, 0.1]])
  expected = (wanted * (wanted / masses.as_distribution(other)).log()).sum().item()
  assert masses.divergence(wanted, other).item() == pytest.approx(expected, rel=1e-5)
  halves = masses.divergence(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]]))
  assert halves.item() == pytest.approx(math.log(2), rel=1e-5)
