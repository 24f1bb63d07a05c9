"""Reads the cacheclip_library / cacheclip_test / cacheclip_binary calls of a CMakeLists.txt."""
import re
from dataclasses import dataclass, field

_CALL = re.compile(r"\b(cacheclip_(?:library|test|binary|benchmark)|target_link_libraries)\s*\(([^()]*)\)")
_KEYWORDS = {"SRCS", "DEPS", "LABELS", "TIMEOUT", "ENVIRONMENT", "PUBLIC", "PRIVATE", "INTERFACE"}


@dataclass
class Target:
    kind: str
    name: str
    line: int
    lists: dict = field(default_factory=dict)  # keyword -> words

    @property
    def sources(self):
        return self.lists.get("SRCS", [])

    @property
    def dependencies(self):
        found = list(self.lists.get("DEPS", []))
        if self.kind == "target_link_libraries":
            for keyword in ("PUBLIC", "PRIVATE", "INTERFACE"):
                found += self.lists.get(keyword, [])
        return found


def without_comments(text):
    return re.sub(r"#[^\n]*", "", text)


def targets(text):
    code = without_comments(text)
    found = []
    for match in _CALL.finditer(code):
        words = match[2].split()
        if not words:
            continue
        target = Target(match[1], words[0], code.count("\n", 0, match.start()) + 1)
        keyword = ""
        for word in words[1:]:
            if word in _KEYWORDS:
                keyword = word
            else:
                target.lists.setdefault(keyword, []).append(word)
        found.append(target)
    return found
