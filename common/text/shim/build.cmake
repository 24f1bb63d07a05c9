# cmake -D SOURCE=… -D CACHE=… -D OUTPUT=… -D CARGO=… -D RUSTC=… -P build.cmake
# Builds the Rust library in the cache folder and moves it into place in one step. Two builds may run at once:
# the second waits for the first and finds the work done. The sources are copied, so that the source tree stays
# as it is.
cmake_minimum_required(VERSION 3.25)
file(MAKE_DIRECTORY ${CACHE})
file(LOCK ${CACHE}/textshim.lock GUARD PROCESS TIMEOUT 3600)
if(EXISTS ${OUTPUT})
  return()
endif()

# Keeps its Cargo.lock: a later build needs the network only for new crates.
set(copy ${CACHE}/textshim-source)
file(REMOVE_RECURSE ${copy}/src)
file(COPY ${SOURCE}/src ${SOURCE}/Cargo.toml DESTINATION ${copy})
execute_process(
  COMMAND ${CMAKE_COMMAND} -E env RUSTC=${RUSTC} CARGO_TARGET_DIR=${CACHE}/textshim-target
    ${CARGO} build --release --manifest-path ${copy}/Cargo.toml
  RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "cargo failed (${failed}). The first build needs a crate registry; later ones do not.")
endif()

get_filename_component(folder ${OUTPUT} DIRECTORY)
file(MAKE_DIRECTORY ${folder})
file(COPY_FILE ${CACHE}/textshim-target/release/libtextshim.a ${OUTPUT}.partial)
file(RENAME ${OUTPUT}.partial ${OUTPUT})
