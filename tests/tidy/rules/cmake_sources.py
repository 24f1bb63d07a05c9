"""Every .cc file is named in the nearest CMakeLists.txt above it, and every .cc named there exists."""
import posixpath
import re

from cmake_text import without_comments
from source_tree import Violation, folder_of

# Generated sources (…pb.cc) are not in the tree.
_SOURCE = re.compile(r"(?<![\w${}/.-])(\$\{CMAKE_SOURCE_DIR\}/)?(?![\w./-]*\bpb\.cc)([\w./-]+\.cc)\b")


def check(tree):
    violations = []
    named = set()
    for path, text in tree.select("CMakeLists.txt"):
        for from_root, source in _SOURCE.findall(without_comments(text)):
            full = posixpath.normpath(source if from_root else posixpath.join(folder_of(path), source))
            named.add(full)
            if full not in tree.files:
                violations.append(Violation(path, 0, f"{source} is named but does not exist"))
    for path, _ in tree.select(".cc"):
        if path not in named:
            violations.append(Violation(path, 0, "not named in any CMakeLists.txt: it is never compiled"))
    return violations
