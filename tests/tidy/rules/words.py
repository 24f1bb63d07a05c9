"""Words that must not be committed: unfinished work, paths of one machine, addresses of package registries."""
import re

from source_tree import Violation, line_of

# This folder names the words in order to ban them.
EXEMPT_FOLDER = "tests/tidy/"

BANNED = [
    (re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"), "unfinished work: do it or open an issue"),
    (re.compile(r"(?<![\w.~}-])/(?:work|root)(?=/)[^\s'\"`)]*|(?<![\w.~}-])/home/[a-z][\w.-]*"), "path of one machine"),
    (re.compile(r"\b(?:pypi\.org|files\.pythonhosted\.\w+|crates\.io|registry\.npmjs\.\w+|proxy\.golang\.\w+|"
                r"deb\.debian\.\w+)\b"), "address of a package registry: use its ordinary client"),
]


def check(tree):
    violations = []
    for path, text in tree.files.items():
        if path.startswith(EXEMPT_FOLDER):
            continue
        for pattern, problem in BANNED:
            violations += [Violation(path, line_of(text, match.start()), f"{match[0]}: {problem}")
                           for match in pattern.finditer(text)]
    return violations
