#!/usr/bin/env bash
# Makes <cache>/venv-NAME with what tools/NAME/requirements.txt pins and prints the path of its python on stdout.
# FOLDER, from the repository's root, in place of NAME: FOLDER/requirements.txt. A second run is a no-op; an
# interrupted one is repeated.
#   python=$(tools/setup/python_environment.sh eval)
#   python=$(tools/setup/python_environment.sh tests/benchmarks/peers)
set -euo pipefail

what="${1:?usage: python_environment.sh NAME|FOLDER}"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
name="$(basename "$what")"
[[ "$what" == */* ]] && here="$root/$what" || here="$root/tools/$what"
cache="${CACHECLIP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cacheclip}"
venv="$cache/venv-$name"
stamp="$venv/cacheclip.ready"
wanted="$(sha256sum "$here/requirements.txt" | cut -d' ' -f1)"

mkdir -p "$cache/locks"
exec 9>"$cache/locks/venv-$name.lock"
flock 9
if [[ ! -f "$stamp" || "$(cat "$stamp")" != "$wanted" ]]; then
  echo "making $venv (once)" >&2
  [[ -x "$venv/bin/python" ]] || python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
  echo "$wanted" >"$stamp"
fi
echo "$venv/bin/python"
