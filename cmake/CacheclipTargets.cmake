# The two shapes of target in this project. One library per layer folder, one test executable per layer.
#
#   cacheclip_library(base SRCS clock.cc … DEPS absl::status …)      -> target cacheclip_base, alias cacheclip::base
#   cacheclip_test(base_test SRCS clock_test.cc … DEPS cacheclip::base [LABELS slow] [TIMEOUT 120])
#   cacheclip_binary(cacheclip SRCS main.cc DEPS …)                  -> an installed program
#
# DEPS are exactly what the sources include (tests/tidy compares them); headers are listed by tests/tidy, not here.

function(cacheclip_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  set(target cacheclip_${name})
  if(ARG_SRCS)
    add_library(${target} STATIC ${ARG_SRCS})
    target_link_libraries(${target} PUBLIC cacheclip_options ${ARG_DEPS})
  else()
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE cacheclip_options ${ARG_DEPS})
  endif()
  add_library(cacheclip::${name} ALIAS ${target})
endfunction()

function(cacheclip_binary name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE cacheclip_options ${ARG_DEPS})
  if(NOT CACHECLIP_SANITIZE)  # sanitizers bring an allocator of their own
    target_link_libraries(${name} PRIVATE cacheclip_allocator)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()

function(cacheclip_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SRCS;DEPS;LABELS;ENVIRONMENT" ${ARGN})
  if(NOT BUILD_TESTING)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE cacheclip_options ${ARG_DEPS} GTest::gmock_main)
  target_compile_definitions(${name} PRIVATE
    CACHECLIP_SOURCE_DIR="${CMAKE_SOURCE_DIR}" CACHECLIP_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "${CACHECLIP_TEST_ENVIRONMENT};${ARG_ENVIRONMENT}" SKIP_RETURN_CODE 77)
endfunction()
