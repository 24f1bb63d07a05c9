import unittest

from rules import twins
from source_tree import SourceTree


class Twins(unittest.TestCase):
    def test_source_with_its_test_passes(self):
        files = {"common/kv/key.cc": "", "tests/unit/common/kv/key_test.cc": "", "common/kv/only_header.h": ""}
        self.assertEqual(twins.check(SourceTree(files), {}), [])

    def test_source_without_test_is_found(self):
        files = {"common/kv/key.cc": "", "tests/unit/common/key_test.cc": ""}
        self.assertEqual([v.text for v in twins.check(SourceTree(files), {})],
                         ["has no test tests/unit/common/kv/key_test.cc"])

    def test_an_exception_needs_its_source_and_no_test(self):
        exceptions = {"common/kv/key.cc": "why"}
        self.assertEqual(twins.check(SourceTree({"common/kv/key.cc": ""}), exceptions), [])
        self.assertEqual(len(twins.check(SourceTree({}), exceptions)), 1)
        files = {"common/kv/key.cc": "", "tests/unit/common/kv/key_test.cc": ""}
        self.assertEqual(len(twins.check(SourceTree(files), exceptions)), 1)
