"""Style that a program can check: python3 tests/tidy/tidy.py [RULE...]; exit status 1 on a violation."""
import importlib
import sys
from pathlib import Path

from source_tree import SourceTree

RULES = ("layers", "dependencies", "cmake_sources", "twins", "sizes", "words", "habits", "headers", "examples")


def main(names):
    unknown = [name for name in names if name not in RULES]
    if unknown:
        print(f"unknown rule {', '.join(unknown)}; rules: {', '.join(RULES)}", file=sys.stderr)
        return 2
    tree = SourceTree.from_checkout(Path(__file__).resolve().parents[2])
    failed = False
    for name in names or RULES:
        violations = importlib.import_module(f"rules.{name}").check(tree)
        for violation in violations:
            print(f"[{name}] {violation}")
        num_failures = sum(not violation.is_warning for violation in violations)
        print(f"{name}: {num_failures} violations, {len(violations) - num_failures} warnings, {len(tree.files)} files")
        failed = failed or num_failures > 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
