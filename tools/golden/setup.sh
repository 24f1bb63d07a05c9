#!/usr/bin/env bash
# Makes <cache>/venv-golden, the Python that recreates golden files, compares live and times transformers.
# Prints the path of its python on stdout. A second run is a no-op; an interrupted one is repeated.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${CACHECLIP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cacheclip}"
venv="$cache/venv-golden"
stamp="$venv/cacheclip.ready"
wanted="$(sha256sum "$here/requirements.txt" | cut -d' ' -f1)"

mkdir -p "$cache/locks"
exec 9>"$cache/locks/venv-golden.lock"
flock 9
if [[ ! -f "$stamp" || "$(cat "$stamp")" != "$wanted" ]]; then
  echo "making $venv (several GB, once)" >&2
  [[ -x "$venv/bin/python" ]] || python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
  echo "$wanted" >"$stamp"
fi
echo "$venv/bin/python"
