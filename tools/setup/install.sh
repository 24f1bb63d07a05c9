#!/usr/bin/env bash
# Installs what a build of CacheClip needs and says what: Debian packages, a Rust toolchain, libtorch. Idempotent: with
# everything in place it takes well under a second and touches no network.
# Runs as root or through sudo; needs no systemd.
set -euo pipefail

readonly TORCH_VERSION=2.15.0
readonly TORCH_PACKAGES=("torch==${TORCH_VERSION}" 'nvidia-cuda-runtime==13.2.86.*' 'nvidia-cuda-cupti==13.2.86.*')
readonly RUST_MINIMUM=1.85
readonly CMAKE_MINIMUM=3.25
readonly CACHE="${CACHECLIP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cacheclip}"
readonly LIBTORCH="${CACHE}/libtorch-${TORCH_VERSION}"
readonly MARKER="${LIBTORCH}/.complete"

# Programs may come from anywhere on the PATH; the package is installed only where the program is missing.
readonly PROGRAMS=(
  "g++ g++" "gcc gcc" "make make" "ninja ninja-build" "pkg-config pkg-config" "ccache ccache" "mold mold" "git git"
  "curl curl" "protoc protobuf-compiler" "grpc_cpp_plugin protobuf-compiler-grpc" "python3 python3"
  "redis-server redis-server" "clang-format clang-format")
# Libraries are looked up in the package database, because a header alone proves little. Counterpart of
# cmake/CacheclipDependencies.cmake.
readonly LIBRARIES=(
  ca-certificates libc6-dev libabsl-dev libprotobuf-dev libprotoc-dev libgrpc++-dev libssl-dev libhiredis-dev
  libgtest-dev libgmock-dev libbenchmark-dev libsqlite3-dev libcurl4-openssl-dev libpugixml-dev libxxhash-dev
  nlohmann-json3-dev libcli11-dev libyaml-cpp-dev prometheus-cpp-dev zlib1g-dev libjemalloc-dev)

usage() {
  cat <<TEXT
Usage: tools/setup/install.sh [--check | --help]

Installs what is missing: Debian packages (apt-get), rustc and cargo >= ${RUST_MINIMUM}, libtorch ${TORCH_VERSION}.
  --check   change nothing; print what is missing, one line each; exit status 1 if anything is
  --help    this text

Environment:
  CACHECLIP_CACHE          where libtorch goes (default \$XDG_CACHE_HOME/cacheclip, else ~/.cache/cacheclip)
  LIBTORCH_ROOT            a libtorch of your own (include/ and lib/): nothing is downloaded
  LIBTORCH_SITE_PACKAGES   the same for a Python site-packages folder that holds torch/
TEXT
}

say() { printf 'install: %s\n' "$*"; }
fail() { printf 'install: error: %s\n' "$*" >&2; exit 1; }

version_at_least() {  # version_at_least HAVE WANT
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

missing_packages() {  # Debian packages to install, one per line
  local entry program package
  for entry in "${PROGRAMS[@]}"; do
    read -r program package <<<"${entry}"
    command -v "${program}" >/dev/null || echo "${package}"
  done
  local cmake_version
  cmake_version="$(cmake --version 2>/dev/null | sed -n '1s/[^0-9]*//p' || true)"
  version_at_least "${cmake_version:-0}" "${CMAKE_MINIMUM}" || echo cmake
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  comm -23 <(printf '%s\n' "${LIBRARIES[@]}" | sort) \
    <((dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${LIBRARIES[@]}" 2>/dev/null || true) |
      sed -n 's/^ii *//p' | sort -u)
}

rust_is_there() {
  local version
  version="$(rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9.]*\).*/\1/p' || true)"
  version_at_least "${version:-0}" "${RUST_MINIMUM}" && command -v cargo >/dev/null
}

# True if the folder holds every part; an interrupted pip leaves at least one *.dist-info/RECORD unwritten.
libtorch_is_whole() {
  local site part
  for site in "$1"/lib/python3*/site-packages; do
    [ -f "${site}/torch/lib/libtorch_cpu.so" ] || return 1
    for part in "torch-${TORCH_VERSION}" nvidia_cuda_runtime-13.2.86 nvidia_cuda_cupti-13.2.86; do
      compgen -G "${site}/${part}*.dist-info/RECORD" >/dev/null || return 1
    done
  done
}

libtorch_is_there() {
  [ -n "${LIBTORCH_ROOT:-}${LIBTORCH_SITE_PACKAGES:-}" ] || [ -f "${MARKER}" ] || libtorch_is_whole "${LIBTORCH}"
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "packages are missing and there is neither root nor sudo; as root run: $*"
  fi
}

apt_is_updated=""
apt_install() {
  command -v apt-get >/dev/null || fail "no apt-get here; install by hand: $*"
  if [ -z "${apt_is_updated}" ]; then
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
    apt_is_updated=yes
  fi
  say "packages: $*"
  # In containers no service may be started by a package; redis-server would be.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends "$@"
}

install_packages() {
  local packages
  packages="$(missing_packages)"
  # shellcheck disable=SC2086  # one word per package
  [ -z "${packages}" ] || apt_install ${packages}
}

install_rust() {
  rust_is_there && return
  if [ -z "${apt_is_updated}" ]; then
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
    apt_is_updated=yes
  fi
  local suffix version
  for suffix in -web ""; do  # Debian 12 carries a current compiler as rustc-web; later releases as rustc
    version="$(apt-cache policy "rustc${suffix}" | sed -n 's/^ *Candidate: *\([0-9.]*\).*/\1/p')"
    if version_at_least "${version:-0}" "${RUST_MINIMUM}"; then
      apt_install "rustc${suffix}" "cargo${suffix}"
      hash -r
      rust_is_there || fail "rustc on the PATH is still older than ${RUST_MINIMUM}: $(command -v rustc)"
      return
    fi
  done
  fail "no package offers rustc >= ${RUST_MINIMUM}; install a newer toolchain (rustup) and run this again"
}

# Built beside its place and renamed when whole, so that an interruption never leaves a folder that looks finished.
install_libtorch() {
  mkdir -p "${CACHE}"
  exec 9>"${CACHE}/.install.lock"
  flock 9
  if ! libtorch_is_there; then
    local partial="${LIBTORCH}.partial"
    [ ! -d "${LIBTORCH}" ] || say "libtorch ${TORCH_VERSION} is incomplete, installing it again"
    say "libtorch ${TORCH_VERSION} (about 1.3 GB on disk) into ${LIBTORCH}"
    rm -rf "${partial}" "${LIBTORCH}"
    python3 -m venv "${partial}"
    "${partial}/bin/python" -m pip install --quiet --no-deps --disable-pip-version-check "${TORCH_PACKAGES[@]}"
    libtorch_is_whole "${partial}" || fail "pip finished, but ${partial} lacks a part of libtorch"
    mv -T "${partial}" "${LIBTORCH}"
  fi
  [ -n "${LIBTORCH_ROOT:-}${LIBTORCH_SITE_PACKAGES:-}" ] || [ -f "${MARKER}" ] || echo "${TORCH_VERSION}" >"${MARKER}"
}

print_missing() {  # exit status 1 if anything is missing
  local missing=0 packages package
  packages="$(missing_packages)"
  for package in ${packages}; do
    echo "missing: package ${package}"
    missing=1
  done
  rust_is_there || { echo "missing: rustc and cargo >= ${RUST_MINIMUM}"; missing=1; }
  libtorch_is_there || { echo "missing: libtorch ${TORCH_VERSION} in ${LIBTORCH}"; missing=1; }
  return "${missing}"
}

case "${1:-}" in
  --help | -h) usage; exit 0 ;;
  --check) print_missing && say "everything is there"; exit ;;
  "") ;;
  *) usage >&2; exit 2 ;;
esac

if print_missing >/dev/null && [ -n "${LIBTORCH_ROOT:-}${LIBTORCH_SITE_PACKAGES:-}" -o -f "${MARKER}" ]; then
  say "everything is there"
  exit 0
fi
install_packages
install_rust
install_libtorch
say "done"
