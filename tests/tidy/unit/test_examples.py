import json
import unittest

from rules import examples
from source_tree import SourceTree

CORPUS = {f"examples/corpus/{i}.md": "The pier has eleven lamps. " * 80 for i in range(24)}


def problems(answer, document="corpus/1.md", **more):
    line = json.dumps({"question": "How many?", "answer": answer, "document": document} | more)
    return [v.text for v in examples.check(SourceTree(CORPUS | {"examples/questions.jsonl": line + "\n"}))]


class Examples(unittest.TestCase):
    def test_an_answer_from_its_document_passes(self):
        self.assertEqual(problems("eleven lamps"), [])

    def test_an_answer_from_elsewhere_is_found(self):
        self.assertEqual(problems("twelve lamps"), ["'twelve lamps' is not in corpus/1.md"])
        self.assertEqual(len(problems("eleven lamps", "corpus/none.md")), 1)

    def test_unknown_fields_are_found(self):
        self.assertEqual(len(problems("eleven lamps", hint="pier")), 1)

    def test_a_small_corpus_is_found(self):
        few_articles = dict(list(CORPUS.items())[:23])
        few_words = {path: "short" for path in CORPUS}
        self.assertEqual(len(examples.check(SourceTree(few_articles))), 1)
        self.assertEqual(len(examples.check(SourceTree(few_words))), 1)
