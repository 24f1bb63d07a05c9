#!/usr/bin/env bash
# The demo: real documents in, two questions answered over gRPC, and what each method cost. `make demo` builds and
# calls this.
#   CACHECLIP_BIN    folder of the binaries (default build/release/bin)
#   CACHECLIP_DEMO   data folder (default build/demo); kept, so that a second run has everything stored
#   CACHECLIP_DEMO_MODEL   a Hugging Face folder instead of the demo model
# Ends only the server that it started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly BIN="${CACHECLIP_BIN:-build/release/bin}"
readonly DATA="${CACHECLIP_DEMO:-build/demo}"
readonly QUESTIONS=(
  "Who founded Brannock Shipyard?"
  "What is the name of the brewery founded in 1784 in Port Selwyn?"
)
readonly READY_SECONDS=120

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() { printf 'demo: error: %s\n' "$*" >&2; exit 1; }

[[ -x "$BIN/cacheclip" ]] || fail "$BIN/cacheclip is missing: run make build, or set CACHECLIP_BIN"
mkdir -p "$DATA"

settings=(--data-dir "$DATA" --port 0 --log-level warning --drain-seconds 5)
if [[ -n "${CACHECLIP_DEMO_MODEL:-}" ]]; then
  settings+=(--model "$CACHECLIP_DEMO_MODEL")
else
  "$BIN/cacheclip" models fetch
fi

say "Starting the server (all services in one process, embedded stores in $DATA)"
: >"$DATA/ready.json"
"$BIN/cacheclip" serve "${settings[@]}" --json >"$DATA/ready.json" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
for ((i = 0; i < READY_SECONDS * 10; ++i)); do
  [[ -s "$DATA/ready.json" ]] && break
  kill -0 "$server" 2>/dev/null || fail "the server did not start"
  sleep 0.1
done
[[ -s "$DATA/ready.json" ]] || fail "the server was not ready after $READY_SECONDS s"
CACHECLIP_SERVER="$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' "$DATA/ready.json")"
export CACHECLIP_SERVER
echo "listening on $CACHECLIP_SERVER"

say "Ingesting examples/corpus"
"$BIN/cacheclip" ingest examples/corpus --data-dir "$DATA"

for question in "${QUESTIONS[@]}"; do
  say "$question"
  "$BIN/cacheclip" ask "$question" --data-dir "$DATA" --max-new-tokens 40 --stop . --compare
done
