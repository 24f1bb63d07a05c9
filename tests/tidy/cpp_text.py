"""Just enough C++ reading for the rules: includes, code without comments and literals, functions and their length."""
import re
from dataclasses import dataclass

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
_BLANKED = re.compile(
    r'R"(?P<tag>[^()\\ ]{0,16})\(.*?\)(?P=tag)"'  # raw string
    r"|//(?:[^\n\\]|\\.)*|/\*.*?\*/"  # comments
    r'|"(?:[^"\\\n]|\\.)*"'  # string
    r"|(?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)+'",  # character, not a digit separator
    re.S)
_ACCESS = re.compile(r"(?:\s*(?:public|private|protected)\s*:)*")
_SCOPE = re.compile(r"\b(namespace|class|struct|union|enum)\b|\bextern\s*$")


@dataclass(frozen=True)
class Include:
    path: str
    line: int
    is_quoted: bool


@dataclass(frozen=True)
class Function:
    name: str
    line: int
    num_lines: int


def includes(text):
    return [Include(m[2], text.count("\n", 0, m.start()) + 1, m[1] == '"') for m in _INCLUDE.finditer(text)]


def blank_literals(text):
    """`text` with comments and literals emptied; line numbers stay."""
    return _BLANKED.sub(lambda m: "\n" * m[0].count("\n"), text)


def functions(text):
    """Functions outside other functions (a lambda counts as part of the one around it)."""
    code = blank_literals(text)
    code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", lambda m: "\n" * m[0].count("\n"), code, flags=re.M)
    found, open_scopes, function, depth, start = [], 0, None, 0, 0
    for match in re.finditer(r"[{};]", code):
        mark, at = match[0], match.start()
        if function is None and mark == "{":
            start += _ACCESS.match(code[start:at]).end()
            head = code[start:at]
            if "(" in head and not re.match(r"\s*(class|struct|namespace|enum)\b", head):
                function, depth = (_name(head), start + len(head) - len(head.lstrip())), 1
            elif _SCOPE.search(head):
                open_scopes += 1
            else:
                function, depth = ("", at), 1  # an initialiser: skipped as a whole
        elif function is not None and mark in "{}":
            depth += 1 if mark == "{" else -1
            if depth == 0:
                name, begin = function
                first, last = code.count("\n", 0, begin) + 1, code.count("\n", 0, at) + 1
                if name:
                    found.append(Function(name, first, last - first + 1))
                function = None
        if function is None:
            start = at + 1
    return found


def _name(head):
    before = head.split("(", 1)[0].rstrip()
    name = re.search(r"[\w:~]+$|operator\S+$", before)
    inside = head.split("(", 1)[1].split(")", 1)[0] if name and name[0].startswith("TEST") else ""
    return (name[0] if name else "?") + (f"({inside})" if inside else "")
