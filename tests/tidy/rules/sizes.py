"""Length of files, functions and lines. Soft limits warn, hard limits fail."""
from cpp_text import functions
from source_tree import Violation, is_test

MAX_HEADER_LINES = 150
SOFT_SOURCE_LINES, MAX_SOURCE_LINES = 300, 500
MAX_TEST_LINES = 400
MAX_MAIN_LINES = 40
SOFT_FUNCTION_LINES, MAX_FUNCTION_LINES = 40, 70
MAX_LINE_LENGTH = 120

_LINE_LENGTH_SUFFIXES = (".h", ".cc", ".py", ".sh", ".proto", ".cmake", "CMakeLists.txt", ".rs")


def check(tree):
    violations = []
    for path, text in tree.select(".h", ".cc"):
        violations += _file_length(path, len(text.splitlines()))
        if not is_test(path) or path.endswith("_test.cc"):
            violations += _function_lengths(path, text)
    for path, text in tree.select(*_LINE_LENGTH_SUFFIXES):
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > MAX_LINE_LENGTH:
                violations.append(Violation(path, number, f"line of {len(line)} characters, at most {MAX_LINE_LENGTH}"))
    return violations


def _file_length(path, num_lines):
    if path.endswith(".h"):
        limit, soft = MAX_HEADER_LINES, MAX_HEADER_LINES
    elif path.endswith("/main.cc"):
        limit, soft = MAX_MAIN_LINES, MAX_MAIN_LINES
    elif is_test(path):
        limit, soft = MAX_TEST_LINES, MAX_TEST_LINES
    else:
        limit, soft = MAX_SOURCE_LINES, SOFT_SOURCE_LINES
    if num_lines > limit:
        return [Violation(path, 0, f"{num_lines} lines, at most {limit}: split it")]
    if num_lines > soft:
        return [Violation(path, 0, f"{num_lines} lines, better at most {soft}", is_warning=True)]
    return []


def _function_lengths(path, text):
    for function in functions(text):
        if function.num_lines > MAX_FUNCTION_LINES:
            yield Violation(path, function.line,
                            f"{function.name} has {function.num_lines} lines, at most {MAX_FUNCTION_LINES}")
        elif function.num_lines > SOFT_FUNCTION_LINES:
            yield Violation(path, function.line, f"{function.name} has {function.num_lines} lines, better at most "
                            f"{SOFT_FUNCTION_LINES}", is_warning=True)
