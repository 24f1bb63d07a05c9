#!/usr/bin/env bash
# Builds what the images carry into one folder: bin/ (the programs), lib/ (every library they load that
# debian:bookworm-slim lacks), share/ (certificates of authorities, tools). The Dockerfiles run it in their build stage;
# outside of them `docker/build.sh build/image` makes the folder that `--build-arg PROGRAMS=prebuilt` packs.
#   docker/build.sh FOLDER     ACCELERATOR=cpu (default) or cuda, JOBS=n
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TARGET="${1:?usage: docker/build.sh FOLDER}"
readonly ACCELERATOR="${ACCELERATOR:-cpu}"
readonly CACHE="${CACHECLIP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cacheclip}"
readonly TORCH_VERSION="$(sed -n 's/^readonly TORCH_VERSION=//p' tools/setup/install.sh)"

configure=(--preset release)

# The whole wheel set, CUDA's libraries among it. Kernels register themselves when libtorch_cuda.so is loaded; no symbol
# asks for it, so the linker is told to keep it.
prepare_cuda() {
  local venv="${CACHE}/libtorch-cuda-${TORCH_VERSION}"
  if [ ! -f "${venv}/.complete" ]; then
    rm -rf "${venv}"
    python3 -m venv "${venv}"
    "${venv}/bin/python" -m pip install --quiet --disable-pip-version-check "torch==${TORCH_VERSION}"
    touch "${venv}/.complete"
  fi
  LIBTORCH_SITE_PACKAGES="$(echo "${venv}"/lib/python3*/site-packages)"
  export LIBTORCH_SITE_PACKAGES
  local keep="-Wl,--push-state,--no-as-needed -ltorch_cuda -lc10_cuda -Wl,--pop-state"
  configure+=(-DLIBTORCH_CUDA=ON "-DCMAKE_EXE_LINKER_FLAGS=-L${LIBTORCH_SITE_PACKAGES}/torch/lib ${keep}")
}

# glibc comes with the image; the driver (libcuda) with the machine.
collect_libraries() {  # collect_libraries BIN_FOLDER LIB_FOLDER
  mkdir -p "$2"
  ldd "$1"/* | awk '$3 ~ /^\// {print $3}' | sort -u |
    { grep -vE '/(libc|libm|libdl|libpthread|librt|ld-linux-x86-64)\.so' || true; } |
    while read -r library; do cp -L "${library}" "$2/"; done
}

case "${ACCELERATOR}" in
  cpu) ;;
  cuda) prepare_cuda ;;
  *) echo "docker/build.sh: ACCELERATOR must be cpu or cuda, got ${ACCELERATOR}" >&2; exit 2 ;;
esac
tools/setup/install.sh
cmake "${configure[@]}"
cmake --build --preset release -j "${JOBS:-$(nproc)}"
rm -rf "${TARGET}"
cmake --install build/release --prefix "${TARGET}" --strip
collect_libraries "${TARGET}/bin" "${TARGET}/lib"
cp -L /etc/ssl/certs/ca-certificates.crt "${TARGET}/share/"  # whom S3 over HTTPS trusts; the slim image has none
