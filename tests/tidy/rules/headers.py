"""Every header opens with a paragraph (what, how used, concurrency, ownership, limits) and is included once."""
import re

from source_tree import Violation, is_test

MIN_PARAGRAPH_WORDS = 12


def check(tree):
    violations = []
    for path, text in tree.select(".h"):
        paragraph = re.match(r"(?://[^\n]*\n)+|/\*.*?\*/", text, re.S)
        if not paragraph:
            violations.append(Violation(path, 1, "does not open with a paragraph"))
        elif not is_test(path) and len(re.findall(r"\w+", paragraph[0])) < MIN_PARAGRAPH_WORDS:
            violations.append(Violation(path, 1, "the opening paragraph says too little to test a newcomer on"))
        if not re.search(r"^#pragma once$", text, re.M):
            violations.append(Violation(path, 1, "lacks #pragma once"))
    return violations
