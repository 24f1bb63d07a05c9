#!/usr/bin/env bash
# Installs the servers that tests run against and says what: an S3 server and a fault proxy, as Go programs of pinned
# versions, outside the tree. Idempotent: with everything in place it takes no time and touches no network.
set -euo pipefail

readonly CACHE="${CACHECLIP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cacheclip}"
readonly BIN="${CACHE}/go-bin"
readonly GO_MINIMUM=1.24
# program in go-bin, Go package, version
readonly SERVERS=(
  "versitygw github.com/versity/versitygw/cmd/versitygw v1.8.0"
  "toxiproxy-server github.com/Shopify/toxiproxy/v2/cmd/server v2.5.0")

usage() {
  cat <<TEXT
Usage: tools/setup/test_servers.sh [--check | --help]

Builds with Go >= ${GO_MINIMUM} and installs into ${BIN} what is missing:
$(printf '  %s %s %s\n' ${SERVERS[*]})
  --check   change nothing; print what is missing, one line each; exit status 1 if anything is
  --help    this text

Environment: CACHECLIP_CACHE, the folder above go-bin (default \$XDG_CACHE_HOME/cacheclip, else ~/.cache/cacheclip)
Exit status 3: there is no Go of that version. Tests that need a missing server are skipped and say so, except in CI.
TEXT
}

say() { printf 'test servers: %s\n' "$*"; }

is_installed() {  # is_installed PROGRAM VERSION
  [ -x "${BIN}/$1" ] && [ "$(cat "${BIN}/$1.version" 2>/dev/null)" = "$2" ]
}

go_is_there() {
  local version
  version="$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null | sed 's/^go//' || true)"
  [ -n "${version}" ] && [ "$(printf '%s\n%s\n' "${GO_MINIMUM}" "${version}" | sort -V | head -n 1)" = "${GO_MINIMUM}" ]
}

# Built beside its place and renamed when whole; `go install` names a program after its folder.
install_server() {  # install_server PROGRAM PACKAGE VERSION
  local program="$1" package="$2" version="$3" partial="${BIN}/.partial-$1"
  say "building ${program} ${version} (a minute or two the first time)"
  rm -rf "${partial}"
  mkdir -p "${partial}"
  CGO_ENABLED=0 GOBIN="${partial}" nice go install -ldflags='-s -w' "${package}@${version}"
  mv "${partial}/$(basename "${package}")" "${BIN}/${program}"
  echo "${version}" >"${BIN}/${program}.version"
  rm -rf "${partial}"
}

missing() {  # lines of SERVERS that are not installed
  local server program package version
  for server in "${SERVERS[@]}"; do
    read -r program package version <<<"${server}"
    is_installed "${program}" "${version}" || echo "${server}"
  done
}

case "${1:-}" in
  --help | -h) usage; exit 0 ;;
  --check)
    wanted="$(missing)"
    [ -z "${wanted}" ] && { say "everything is there"; exit 0; }
    sed 's/^/missing: /' <<<"${wanted}"
    exit 1 ;;
  "") ;;
  *) usage >&2; exit 2 ;;
esac

if [ -z "$(missing)" ]; then
  say "everything is there"
  exit 0
fi
if ! go_is_there; then
  say "error: Go >= ${GO_MINIMUM} is needed to build $(missing | cut -d' ' -f1 | tr '\n' ' ')" >&2
  exit 3
fi
mkdir -p "${BIN}"
exec 9>"${BIN}/.install.lock"
flock 9
while read -r program package version; do
  [ -z "${program}" ] || is_installed "${program}" "${version}" || install_server "${program}" "${package}" "${version}"
done <<<"$(missing)"
say "done"
