"""Tests wait for conditions, never for time, and every test file asserts something."""
import re

from cpp_text import blank_literals
from source_tree import Violation, is_test, line_of

# The one place that waits: polls a condition until a deadline.
OWN_TEST = "tests/tidy/unit/test_habits.py"  # its fixtures sleep
POLL_HELPERS = ("tests/support/poll.h", "tests/support/poll.py")

_CPP_SLEEP = re.compile(r"\b(sleep_for|sleep_until|SleepFor|usleep|nanosleep|sleep)\s*\(")
_PYTHON_SLEEP = re.compile(r"\b(?:time\.sleep|asyncio\.sleep)\s*\(|\bfrom time import .*\bsleep\b")
_CPP_ASSERTION = re.compile(r"\b(?:EXPECT|ASSERT)_\w+\s*\(|\bFAIL\s*\(|\bADD_FAILURE\s*\(|\bstatic_assert\s*\(")
_PYTHON_ASSERTION = re.compile(r"\bassert\b|\bself\.(?:assert\w+|fail)\s*\(")
# A file that only runs a shared contract suite on one more implementation asserts through the suite.
_CONTRACT = re.compile(r"^\s*INSTANTIATE_(?:TYPED_)?TEST_SUITE_P\s*\(", re.M)
_TEST_MACRO = re.compile(r"^\s*TEST(?:_F|_P)?\s*\(|^\s*TYPED_TEST", re.M)


def check(tree):
    violations = []
    for path, text in tree.files.items():
        if not is_test(path) or path == OWN_TEST:
            continue
        if path.endswith((".cc", ".h")):
            violations += _check_file(path, blank_literals(text), _CPP_SLEEP, _CPP_ASSERTION,
                                      path.endswith("_test.cc") and not _CONTRACT.search(text))
            if path.endswith("_test.cc") and not _is_runnable(text):
                violations.append(Violation(path, 0, "test file without a test"))
        elif path.endswith(".py"):
            name = path.rpartition("/")[2]
            is_test_file = name.startswith("test_") or name.endswith("_test.py")
            violations += _check_file(path, text, _PYTHON_SLEEP, _PYTHON_ASSERTION, is_test_file)
    return violations


def _is_runnable(text):
    return _TEST_MACRO.search(text) or _CONTRACT.search(text) or "int main(" in text


def _check_file(path, code, sleep, assertion, is_test_file):
    violations = []
    if path not in POLL_HELPERS:
        violations += [Violation(path, line_of(code, match.start()), f"{match[0].rstrip('( ')}: poll for the condition "
                                 f"instead ({POLL_HELPERS[0]})") for match in sleep.finditer(code)]
    if is_test_file and not assertion.search(code):
        violations.append(Violation(path, 0, "test file without an assertion"))
    return violations
