"""The path of the test is the path of the code: common/kv/key.cc <-> tests/unit/common/kv/key_test.cc."""
from source_tree import Violation

# Source -> why it has no test file of its own. An entry that is no longer needed is a violation.
_TEXT = "a private part of tokenizer, template and layout: their tests and transformers' golden data drive it"
_RPC = "needs both ends of a connection: rpc_server_test and tests/integration drive it over loopback"
EXCEPTIONS = {
    "common/rpc/call_observer.cc": _RPC,
    "common/rpc/channel.cc": _RPC,
    "common/rpc/generation_client.cc": _RPC,
    "common/rpc/ingestion_client.cc": _RPC,
    "common/rpc/rpc_service.cc": _RPC,
    "common/rpc/shutdown_signal.cc": "signals of a whole process: tests/integration sends them",
    "common/rpc/tls_files.cc": _RPC,
    "common/telemetry/metrics_families.cc": "a table; metrics_test reads every family of it",
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
