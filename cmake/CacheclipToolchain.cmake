# Compiler, linker, sanitizers, warnings: everything that every target shares (interface target cacheclip_options).
set(CACHECLIP_SANITIZE "" CACHE STRING "empty, address (ASan+UBSan) or thread")
option(CACHECLIP_WERROR "warnings are errors" OFF)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Paths below the checkout are hashed relative to it, so that another clone finds what this one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

add_library(cacheclip_options INTERFACE)
target_include_directories(cacheclip_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(cacheclip_options INTERFACE -Wall -Wextra -Wno-sign-compare -Wno-missing-field-initializers
  -fno-omit-frame-pointer $<$<BOOL:${CACHECLIP_WERROR}>:-Werror>)

find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  target_link_options(cacheclip_options INTERFACE -fuse-ld=mold)
endif()

# DT_RPATH rather than DT_RUNPATH: the libgomp beside libtorch must be the only OpenMP runtime in the process.
target_link_options(cacheclip_options INTERFACE -Wl,--disable-new-dtags)

# Tests run beside each other: an OpenMP thread that spins at a barrier takes the core from the one it waits for.
set(CACHECLIP_TEST_ENVIRONMENT "OMP_WAIT_POLICY=passive")
if(CACHECLIP_SANITIZE STREQUAL "address")
  target_compile_options(cacheclip_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined)
  target_link_options(cacheclip_options INTERFACE -fsanitize=address,undefined)
  # Memory that cannot be had is an error to handle here as it is without the sanitizer.
  list(APPEND CACHECLIP_TEST_ENVIRONMENT
    "ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0:allocator_may_return_null=1")
elseif(CACHECLIP_SANITIZE STREQUAL "thread")
  # Protobuf's map layout depends on __SANITIZE_THREAD__; the packaged library was built without it.
  target_compile_options(cacheclip_options INTERFACE -fsanitize=thread -U__SANITIZE_THREAD__)
  target_link_options(cacheclip_options INTERFACE -fsanitize=thread)
  list(APPEND CACHECLIP_TEST_ENVIRONMENT
    # libgomp is not instrumented: its barriers are invisible, and every shared element would look like a race.
    "OMP_NUM_THREADS=1"
    "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp ignore_noninstrumented_modules=1 \
allocator_may_return_null=1")
elseif(CACHECLIP_SANITIZE)
  message(FATAL_ERROR "CACHECLIP_SANITIZE=${CACHECLIP_SANITIZE}: expected empty, address or thread")
endif()
