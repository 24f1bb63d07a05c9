"""The path of the test is the path of the code: common/kv/key.cc <-> tests/unit/common/kv/key_test.cc."""
from source_tree import Violation

# Source -> why it has no test file of its own. An entry that is no longer needed is a violation.
_TEXT = "a private part of tokenizer, template and layout: their tests and transformers' golden data drive it"
_WIDTH = "one of the instruction sets that a kernel is compiled for: the kernel's test runs each"
EXCEPTIONS = {
    "common/model/kernels/attention_fp32_avx2.cc": _WIDTH,
    "common/model/kernels/attention_fp32_avx512.cc": _WIDTH,
    "common/model/kernels/linear_avx2.cc": _WIDTH,
    "common/model/kernels/linear_avx512.cc": _WIDTH,
    "common/model/kernels/linear_avx512bf16.cc": _WIDTH,
    "common/text/model_files.cc": _TEXT,
    "common/text/piece_encoder.cc": _TEXT,
    "common/text/shim_status.cc": _TEXT,
}


def check(tree, exceptions=None):
    exceptions = EXCEPTIONS if exceptions is None else exceptions
    violations = []
    for path, _ in tree.select(".cc", under="common/"):
        if twin_of(path) not in tree.files and path not in exceptions:
            violations.append(Violation(path, 0, f"has no test {twin_of(path)}"))
    for path, reason in exceptions.items():
        if path not in tree.files or twin_of(path) in tree.files:
            violations.append(Violation("tests/tidy/rules/twins.py", 0, f"exception {path} ({reason}) is not needed"))
    return violations


def twin_of(path):
    return f"tests/unit/{path.removesuffix('.cc')}_test.cc"
