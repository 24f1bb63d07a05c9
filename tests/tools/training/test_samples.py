"""What is learnt from: samples are read or refused by line, held out by context, and met in an order that is a function
of the seed."""

import json
import random

import pytest
import sample_lines

from tools.training import errors, samples, spans, text, tokenization


def read(tmp_path, num_samples=10):
  return samples.read(sample_lines.write(tmp_path / "samples.jsonl", num_samples))


def test_question_is_the_marked_part_of_the_suffix(tmp_path):
  record = sample_lines.line(0)
  sample = read(tmp_path, 1)[0]
  assert list(sample.questions[0].ids) == record["suffix_ids"][record["question_begin"] : record["question_end"]]
  assert sample.num_context_tokens == sum(map(len, record["chunk_ids"]))


@pytest.mark.parametrize(
  "change, complaint",
  [
    ({"suffix_ids": None}, "line 2"),
    ({"chunk_ids": []}, "no chunks"),
    ({"chunk_ids": [[1], []]}, "chunk_ids is not a list of token ids"),
    ({"prefix_ids": [-1]}, "prefix_ids is not"),
    ({"question_end": 99}, "question [2, 99)"),
    ({"evidence": [10_000]}, "beyond the 36 tokens"),
  ],
)
def test_line_that_is_no_sample_is_named(change, complaint, tmp_path):
  path = sample_lines.write(tmp_path / "samples.jsonl", 1)
  with path.open("a", encoding="utf-8") as file:
    file.write(json.dumps(sample_lines.line(1) | change) + "\n")
  with pytest.raises(errors.DataError, match="line 2") as caught:
    samples.read(path)
  assert complaint in str(caught.value)


def test_missing_fields_and_empty_files_are_named(tmp_path):
  path = tmp_path / "samples.jsonl"
  path.write_text('{"prefix_ids": [1]}\n', encoding="utf-8")
  with pytest.raises(errors.DataError, match="lacks chunk_ids, suffix_ids"):
    samples.read(path)
  path.write_text("", encoding="utf-8")
  with pytest.raises(errors.DataError, match="no samples"):
    samples.read(path)


def test_samples_of_another_model_are_refused(tmp_path):
  given = read(tmp_path)
  samples.check(given, vocab_size=300, max_positions=100)
  with pytest.raises(errors.DataError, match="another model"):
    samples.check(given, vocab_size=50, max_positions=100)
  with pytest.raises(errors.DataError, match="46 tokens long"):
    samples.check(given, vocab_size=300, max_positions=45)


def test_held_out_contexts_are_never_learnt_from(tmp_path):
  given = read(tmp_path)
  given.append(given[0])  # the same context once more
  learnt, held_out = samples.split(given, 0.3, seed=5)
  assert len(learnt) + len(held_out) == len(given)
  assert not {sample.chunk_ids for sample in learnt} & {sample.chunk_ids for sample in held_out}
  assert (learnt, held_out) == samples.split(given, 0.3, seed=5)
  assert held_out != samples.split(given, 0.3, seed=6)[1]
  with pytest.raises(errors.DataError, match="two different contexts"):
    samples.split(given[:1] * 3, 0.3, seed=5)


def test_every_round_meets_every_sample_once_in_an_order_of_its_own():
  rounds = [[samples.position_in_order(7 * i + j, 7, seed=3) for j in range(7)] for i in range(3)]
  assert all(sorted(positions) == list(range(7)) for positions in rounds)
  assert len({tuple(positions) for positions in rounds}) > 1


def test_mass_is_kept_where_the_target_covers_the_text():
  source = [(0, 4), (4, 5), (5, 5), (5, 9)]
  target = [(0, 2), (2, 5), (5, 9), (9, 9)]
  moved = spans.move_mass(source, [0.4, 0.1, 0.0, 0.5], target)
  assert moved == pytest.approx([0.2, 0.3, 0.5, 0.0])


def test_mass_of_bytes_that_two_tokens_share_is_split():
  # Byte-level tokenisers give every token of one character the whole of it.
  assert spans.move_mass([(0, 3)], [1.0], [(0, 3), (0, 3)]) == pytest.approx([0.5, 0.5])
  assert spans.move_mass([(0, 3), (0, 3)], [0.25, 0.75], [(0, 3)]) == pytest.approx([1.0])


def test_mass_moves_there_and_back_unchanged_between_random_cuts():
  source = random.Random(1)
  cuts = sorted(source.sample(range(1, 200), 40))
  fine = list(zip([0, *cuts], [*cuts, 200]))
  coarse = list(zip([0, *cuts[::4]], [*cuts[::4], 200]))
  mass = [source.random() for _ in coarse]
  assert spans.move_mass(fine, spans.move_mass(coarse, mass, fine), coarse) == pytest.approx(mass)


def test_spans_count_bytes_not_characters():
  assert spans.byte_spans("aé€b", [(0, 1), (1, 3), (3, 4)]) == [(0, 1), (1, 6), (6, 7)]


class WordTokenizer:
  """Ids are positions in a list of words that grows; offsets are characters."""

  def __init__(self, split):
    self._split = split
    self._words = []
    self.encode_special_tokens = False

  def encode(self, content, add_special_tokens):
    assert not add_special_tokens
    parts = self._split(content)
    self._words += [part for part in parts if part not in self._words]
    ends = [sum(map(len, parts[: i + 1])) for i in range(len(parts))]
    encoding = type("Encoding", (), {})()
    encoding.ids = [self._words.index(part) for part in parts]
    encoding.offsets = [(end - len(part), end) for part, end in zip(parts, ends)]
    return encoding

  def decode(self, ids, skip_special_tokens):
    assert not skip_special_tokens
    return "".join(self._words[i] for i in ids)


def test_other_tokenizer_gets_the_text_and_the_mass_on_it():
  primary = WordTokenizer(lambda content: [content[i : i + 4] for i in range(0, len(content), 4)])
  student = WordTokenizer(lambda content: [content[i : i + 2] for i in range(0, len(content), 2)])
  ids = [tuple(primary.encode(part, add_special_tokens=False).ids) for part in ("system: ", "alphabeta", "what?")]
  question = samples.Question(ids[2], 0, len(ids[2]))
  read_by_student = tokenization.OtherTokenizer(primary, student).read(samples.Sample(ids[0], (ids[1],), (question,)))
  assert student.decode(read_by_student.chunk_ids[0], False) == "alphabeta"
  assert student.decode(read_by_student.question_ids[0], False) == "what?"
  assert read_by_student.move([0.6, 0.4, 0.0]) == pytest.approx([0.3, 0.3, 0.2, 0.2, 0.0])


def test_chunk_whose_text_has_other_tokens_is_left_out():
  primary = WordTokenizer(lambda content: [content[i : i + 4] for i in range(0, len(content), 4)])
  known = tuple(primary.encode("alphabeta", add_special_tokens=False).ids)
  turned = known[::-1]
  question = samples.Question(known, 0, 1)
  reader = tokenization.OtherTokenizer(primary, WordTokenizer(list))
  assert reader.read(samples.Sample(known, (known,), (question,))) is not None
  assert reader.read(samples.Sample(known, (turned,), (question,))) is None


FRAME = samples.Sample((1, 2), ((3,),), (samples.Question((8, 9, 10, 11), 1, 2),))
STORY = "The old harbour master counted every ship that came home. " * 40


def make_samples(**changes):
  options = text.TextOptions(**({"num_contexts": 5, "context_tokens": 600, "chunk_tokens": 200} | changes))
  encode = lambda content: [ord(character) for character in content]  # noqa: E731
  return text.make([STORY], encode, lambda ids: "".join(map(chr, ids)), FRAME, options)


def test_pseudo_question_keeps_words_of_a_later_chunk_in_order():
  for sample in make_samples():
    assert sample.prefix_ids == FRAME.prefix_ids
    assert len(sample.chunk_ids) == 3
    for question in sample.questions:
      words = "".join(map(chr, question.ids)).rstrip("?").split()
      assert (question.suffix_ids[: question.begin], question.suffix_ids[question.end :]) == ((8,), (10, 11))
      later = ["".join(map(chr, chunk)) for chunk in sample.chunk_ids[1:]]
      source = [sentence.rstrip(".").split() for chunk in later for sentence in text.sentences(chunk)]
      assert any(is_subsequence(words, sentence) and len(words) < len(sentence) for sentence in source)


def is_subsequence(words, sentence) -> bool:
  rest = iter(sentence)
  return all(word in rest for word in words)


def test_texts_give_the_same_samples_for_the_same_seed():
  assert make_samples(seed=4) == make_samples(seed=4)
  assert make_samples(seed=4) != make_samples(seed=5)


def test_too_little_text_is_refused(tmp_path):
  with pytest.raises(errors.DataError, match="a context takes 50"):
    make_samples(context_tokens=10_000)
  with pytest.raises(errors.DataError, match="holds no text"):
    text.read_texts(tmp_path)
  (tmp_path / "notes").mkdir()
  (tmp_path / "notes" / "a.md").write_text("One.", encoding="utf-8")
  (tmp_path / "b.bin").write_bytes(b"\xff")
  assert text.read_texts(tmp_path) == ["One."]
