"""Finds what tools/setup/deploy_tools.sh installs, renders the chart, reads the project's own tables."""
import functools
import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/cacheclip"
VALUE_SETS = sorted((CHART / "ci").glob("*.yaml"))
KUBERNETES_VERSIONS = ("1.25", "1.31", "1.37")
SERVICES = ("ingestion", "selector", "generation")
CACHE = Path(os.environ.get("CACHECLIP_CACHE") or
             Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cacheclip")
VENV = CACHE / "venv-deploy"

try:
    import jsonschema
    import kubernetes_validate
    import yaml
except ImportError:
    jsonschema = kubernetes_validate = yaml = None


def needs(available, what):
    """Skips where a tool is missing; in CI, which installs them, its absence fails."""
    if available or os.environ.get("CI"):
        return lambda test: test
    return unittest.skip(f"{what} is not installed; tools/setup/deploy_tools.sh installs it")


def program(name):
    for folder in (CACHE / "go-bin", VENV / "bin"):
        if (folder / name).is_file():
            return str(folder / name)
    return shutil.which(name)


needs_helm = needs(program("helm") and yaml, "helm, or the Python packages beside it,")
needs_schemas = needs(kubernetes_validate, "kubernetes-validate")
needs_yaml = needs(yaml, "PyYAML")


def helm(*arguments):
    return subprocess.run([program("helm"), *map(str, arguments)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)


@functools.lru_cache(maxsize=None)
def _manifests(arguments):
    result = helm("template", "release", CHART, "--namespace", "space", "--kube-version", "1.31.0", *arguments)
    if result.returncode != 0:
        raise ValueError(result.stdout)
    return [manifest for manifest in yaml.safe_load_all(result.stdout) if manifest]


def render(value_set=None, *settings):
    """The manifests of a file of ci/ (its stem) with further --set settings."""
    arguments = ["--values", str(CHART / f"ci/{value_set}.yaml")] if value_set else []
    for setting in settings:
        arguments += ["--set", setting]
    return _manifests(tuple(arguments))


def of_kind(manifests, kind):
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def deployment(manifests, service):
    return of_kind(manifests, "Deployment")[f"release-cacheclip-{service}"]


def container(manifests, service):
    return deployment(manifests, service)["spec"]["template"]["spec"]["containers"][0]


def settings_file(manifests, service):
    name = f"release-cacheclip-{service}"
    for kind, field in (("ConfigMap", "data"), ("Secret", "stringData")):
        if name in of_kind(manifests, kind):
            return yaml.safe_load(of_kind(manifests, kind)[name][field]["cacheclip.yaml"])
    raise KeyError(name)


def known_settings():
    """Names of the table in docs/configuration.md, which a test of the program compares with the program."""
    return set(re.findall(r"^\| `([a-z0-9_]+)` \| `--", (ROOT / "docs/configuration.md").read_text(), re.M)) | {
        "namespace_salts", "namespace_quotas"}


def known_metrics():
    """Families that common/telemetry registers, with the prefix and what Prometheus appends to histograms."""
    text = "".join(path.read_text() for path in (ROOT / "common/telemetry").glob("*.cc"))
    stems = re.findall(r'"([a-z0-9_]+(?:_total|_seconds|_bytes|_ratio|_running|_waiting|_objects))"', text)
    return {f"cacheclip_{stem}{suffix}" for stem in stems for suffix in ("", "_bucket", "_sum", "_count")}
