"""Arrows of the architecture: who may include whom, and which folder may include which third-party library."""
from cpp_text import includes
from source_tree import Violation, is_test

_LOW = {"base", "telemetry"}
_MIDDLE = _LOW | {"kv", "select"}
_PARTS = _MIDDLE | {"model", "store", "catalog", "text"}

# common/<layer> -> the layers it may include besides itself. Adding an arrow here is a design decision.
ARROWS = {
    "base": set(),
    "telemetry": {"base"},
    "redis": _LOW,  # below store and catalogue, which both talk to Redis (ADR 0008)
    "kv": _LOW,
    "select": _LOW,
    "text": _MIDDLE,
    "store": _MIDDLE | {"redis"},
    "catalog": _MIDDLE | {"redis"},
    "model": _MIDDLE,
    "ingest": _PARTS,
    "engine": _PARTS | {"ingest"},  # a miss is encoded by ingestion's code (ADR 0006)
    "rpc": _PARTS | {"ingest", "engine"},
}
# Services never include each other; `cacheclip serve` is the composition of all of them in one process. All build their
# parts from configuration with services/runtime, which includes none of them; services/evaluation measures the parts of
# such a runtime (ADR 0016).
SERVICE_ARROWS = {
    "cacheclip": {"ingestion", "selector", "generation", "runtime", "evaluation"},
    "ingestion": {"runtime"},
    "selector": {"runtime"},
    "generation": {"runtime", "evaluation"},
    "evaluation": {"runtime"},
}

# (include prefixes, where they are allowed as path prefixes with an optional "*suffix", what to say)
THIRD_PARTY = [
    (("torch/", "ATen/", "c10/"), ("common/model/", "tests/"), "torch belongs to common/model"),
    (("hiredis",), ("common/redis/reply_reader.cc",), "hiredis belongs to common/redis/reply_reader.cc"),
    (("sqlite3.h",), ("common/catalog/sqlite_*.cc", "services/cacheclip/local_index/*.cc"),
     "SQLite belongs to common/catalog/sqlite_*.cc and the local index of the CLI"),
    (("pugixml.hpp",), ("common/store/object/s3_xml.cc",), "pugixml belongs to common/store/object/s3_xml.cc"),
    (("grpc/", "grpcpp/", "google/protobuf/", "proto/", "cacheclip/v1/"),
     ("common/rpc/", "services/*_service.cc", "services/*_service.h", "tests/"),
     "gRPC and protobuf types belong to common/rpc and the *_service files"),
]


def check(tree):
    violations, curl_files = [], []
    for path, text in tree.select(".h", ".cc"):
        for include in includes(text):
            problem = (_arrow_problem(path, include.path) or _third_party_problem(path, include.path)
                       or _style_problem(include))
            if problem:
                violations.append(Violation(path, include.line, problem))
            if include.path.startswith("curl/") and not is_test(path):
                curl_files.append(Violation(path, include.line, "curl is included by more than one file"))
    return violations + curl_files[1:]


def _arrow_problem(path, included):
    source, target = path.split("/"), included.split("/")
    if is_test(path) or len(target) < 3 or target[0] not in ("common", "services", "tests"):
        return ""
    if target[0] == "tests":
        return f"production code includes {included}"
    if source[0] == "common":
        if source[1] not in ARROWS:
            return f"common/{source[1]} is no known layer"
        if target[0] == "services":
            return f"common/{source[1]} must not include a service"
        if target[1] != source[1] and target[1] not in ARROWS[source[1]]:
            return f"common/{source[1]} must not include common/{target[1]}"
    if source[0] == "services" and target[0] == "services" and len(source) > 2:
        if target[1] != source[1] and target[1] not in SERVICE_ARROWS.get(source[1], ()):
            return f"services/{source[1]} must not include services/{target[1]}"
    return ""


def _third_party_problem(path, included):
    for prefixes, allowed, problem in THIRD_PARTY:
        if included.startswith(prefixes) and not any(_matches(path, pattern) for pattern in allowed):
            return f"{problem}: <{included}>"
    return ""


def _matches(path, pattern):
    prefix, _, suffix = pattern.partition("*")
    return path.startswith(prefix) and path.endswith(suffix)


def _style_problem(include):
    if include.is_quoted and "/" not in include.path:
        return f'include by full path: "{include.path}"'
    return ""
