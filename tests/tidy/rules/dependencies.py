"""The build file is the table of contents: DEPS name exactly the libraries that the folder's sources include."""
from cmake_text import targets
from cpp_text import includes
from source_tree import Violation, folder_of, is_test

# Third-party include -> the targets of which at least one must be declared. Longest prefix wins.
PROVIDERS = {
    "absl/status/status.h": ("absl::status",),
    "absl/status/statusor.h": ("absl::statusor",),
    "absl/strings/": ("absl::strings",),
    "absl/strings/cord.h": ("absl::cord",),
    "absl/strings/str_format.h": ("absl::str_format",),
    "absl/time/": ("absl::time",),
    "absl/types/span.h": ("absl::span",),
    "openssl/": ("OpenSSL::Crypto", "OpenSSL::SSL"),
    "xxhash.h": ("PkgConfig::xxhash",),
    "hiredis": ("PkgConfig::hiredis",),
    "nlohmann/": ("nlohmann_json::nlohmann_json",),
    "yaml-cpp/": ("yaml-cpp", "yaml-cpp::yaml-cpp", "${YAML_CPP_LIBRARIES}"),
    "sqlite3.h": ("SQLite::SQLite3",),
    "curl/": ("CURL::libcurl",),
    "pugixml.hpp": ("pugixml::pugixml",),
    "prometheus/": ("prometheus-cpp::core", "prometheus-cpp::pull"),
    "CLI/": ("CLI11::CLI11",),
    "torch/": ("torch::cpu",),
    "ATen/": ("torch::cpu",),
    "c10/": ("torch::cpu",),
    "grpcpp/": ("PkgConfig::grpcpp", "grpcpp_reflection", "cacheclip::proto"),
}


def check(tree):
    violations = []
    folders = {folder_of(path) for path in tree.files if path.endswith("/CMakeLists.txt")}
    for folder in sorted(folders):
        path = f"{folder}/CMakeLists.txt"
        declared_targets = targets(tree.files[path])
        if not folder.startswith(("common/", "services/", "tests/unit/")) or not declared_targets:
            continue
        declared = {word for target in declared_targets for word in target.dependencies}
        included = _included(tree, folder, folders)
        own = {f"cacheclip::{target.name.removeprefix('cacheclip_')}" for target in declared_targets}
        problems = _compare_own(declared, _libraries(included, folders) - own, own,
                                _libraries(_through_support(tree, included), folders),
                                any(path.startswith(("services/", "tests/")) for path in included))
        if not is_test(path):
            problems += _compare_others(declared, included)
        violations += [Violation(path, 0, problem) for problem in problems]
    return violations


def _included(tree, folder, folders):
    """Includes of the sources for which `folder` is the nearest one with a CMakeLists.txt."""
    found = set()
    for path, text in tree.select(".h", ".cc", under=folder + "/"):
        nearest = folder_of(path)
        while nearest not in folders:
            nearest = folder_of(nearest)
        if nearest == folder:
            found.update(include.path for include in includes(text))
    return found


def _through_support(tree, included):
    """What the included helpers of tests/support include in turn: may be declared, need not be."""
    found, pending = set(), [path for path in included if path.startswith("tests/support/")]
    while pending:
        path = pending.pop()
        for part in (path, path.removesuffix(".h") + ".cc"):
            new = {include.path for include in includes(tree.files.get(part, ""))} - found
            found |= new
            pending += [path for path in new if path.startswith("tests/support/")]
    return found


def _compare_own(declared, used, own, permitted, includes_services_or_tests):
    libraries = {word for word in declared if word.startswith("cacheclip::") and word != "cacheclip::proto"} - own
    if includes_services_or_tests:
        libraries = {word for word in libraries if word in used or not _is_unknown(word)}
    return ([f"{word} is included but not in DEPS" for word in sorted(used - libraries)] +
            [f"{word} is in DEPS but nothing of it is included" for word in sorted(libraries - used - permitted)])


def _libraries(included, folders):
    """common/store/redis/a.h belongs to store_redis if that folder has a CMakeLists.txt, else to store."""
    found = set()
    for path in included:
        if path.startswith("common/"):
            folder = folder_of(path)
            while folder not in folders and folder.count("/") > 1:
                folder = folder_of(folder)
            found.add("cacheclip::" + folder.removeprefix("common/").replace("/", "_"))
    return found


def _is_unknown(word):
    """A library of a service or of tests/support: its folder cannot be told from its name."""
    return word.removeprefix("cacheclip::").split("_")[0] not in {
        "base", "telemetry", "redis", "kv", "select", "text", "store", "catalog", "model", "ingest", "engine", "rpc"}


def _compare_others(declared, included):
    provider_groups = {}
    for path in included:
        prefix = max((prefix for prefix in PROVIDERS if path.startswith(prefix)), key=len, default="")
        if prefix:
            provider_groups.setdefault(PROVIDERS[prefix], path)
    problems = [f"<{path}> is included but {providers[0]} is not in DEPS"
                for providers, path in sorted(provider_groups.items()) if not declared.intersection(providers)]
    used = {provider for providers in provider_groups for provider in providers}
    known = {provider for providers in PROVIDERS.values() for provider in providers}
    return problems + [f"{word} is in DEPS but nothing of it is included"
                       for word in sorted((declared & known) - used - {"cacheclip::proto", "grpcpp_reflection"})]
