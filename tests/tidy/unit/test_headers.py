import unittest

from rules import headers
from source_tree import SourceTree

PARAGRAPH = "// A ring of slots, filled by one thread and read by another.\n// Thread-safe. Owns its slots.\n"


def problems(text, path="common/base/ring.h"):
    return [v.text for v in headers.check(SourceTree({path: text}))]


class Headers(unittest.TestCase):
    def test_a_paragraph_and_pragma_once_pass(self):
        self.assertEqual(problems(PARAGRAPH + "#pragma once\n"), [])
        in_c = "/* A C interface of the ring: what it is, how it is used, who owns its slots. */\n#pragma once\n"
        self.assertEqual(problems(in_c), [])

    def test_a_missing_paragraph_is_found(self):
        self.assertEqual(problems("#pragma once\n" + PARAGRAPH), ["does not open with a paragraph"])

    def test_a_label_is_no_paragraph(self):
        self.assertEqual(len(problems("// Ring buffer.\n#pragma once\n")), 1)
        self.assertEqual(problems("// Ring buffer.\n#pragma once\n", "tests/support/ring.h"), [])

    def test_missing_pragma_once_is_found(self):
        self.assertEqual(problems(PARAGRAPH + "#ifndef A\n"), ["lacks #pragma once"])
