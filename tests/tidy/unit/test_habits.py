import unittest

from rules import habits
from source_tree import SourceTree

GOOD_CC = "TEST(A, Holds) { EXPECT_EQ(1, One()); }\n"


def problems(path, text):
    return [v.text for v in habits.check(SourceTree({path: text}))]


class Habits(unittest.TestCase):
    def test_tests_that_assert_pass(self):
        self.assertEqual(problems("tests/unit/common/kv/a_test.cc", GOOD_CC), [])
        self.assertEqual(problems("tests/integration/test_a.py", "def test_a():\n    assert f() == 1\n"), [])
        contract = "INSTANTIATE_TEST_SUITE_P(Memory, CatalogContract, Values(1));\n"
        self.assertEqual(problems("tests/unit/common/catalog/memory_test.cc", contract), [])
        self.assertEqual(problems("tests/support/fake.h", "class Fake {};\n"), [])

    def test_sleeps_are_found(self):
        for call in ("std::this_thread::sleep_for(x);", "usleep(10);", "absl::SleepFor(x);", "sleep(1);"):
            self.assertEqual(len(problems("tests/unit/a_test.cc", GOOD_CC + f"void F() {{ {call} }}\n")), 1, call)
        self.assertEqual(len(problems("tests/integration/test_a.py", "time.sleep(1)\nassert x\n")), 1)

    def test_sleeps_outside_tests_in_comments_and_in_the_poll_helper_are_fine(self):
        self.assertEqual(problems("common/base/a.cc", "usleep(10);"), [])
        self.assertEqual(problems("tests/unit/a_test.cc", GOOD_CC + "// no sleep(1) here\n"), [])
        self.assertEqual(problems("tests/support/poll.h", "std::this_thread::sleep_for(x);"), [])

    def test_a_test_file_without_assertion_or_test_is_found(self):
        self.assertEqual(problems("tests/unit/a_test.cc", "TEST(A, B) { Run(); }\n"),
                         ["test file without an assertion"])
        self.assertEqual(problems("tests/unit/a_test.cc", "void F() { EXPECT_TRUE(x); }\n"),
                         ["test file without a test"])
        self.assertEqual(problems("tests/integration/test_a.py", "def test_a():\n    run()\n"),
                         ["test file without an assertion"])
