# The Rust static library under common/text/shim -> imported target `textshim`.
#
# It takes minutes to compile and changes rarely, so the result lives in the cache folder ($CACHECLIP_CACHE,
# else $XDG_CACHE_HOME/cacheclip, else ~/.cache/cacheclip) as textshim-<hash>/libtextshim.a; the hash covers
# the sources, the compiler's version and the processor. A fresh clone finds it there and needs neither cargo
# nor the network. Built as part of the build (not of the configuration) by common/text/shim/build.cmake.
#
# Needs rustc and cargo >= 1.85 on the PATH or in ~/.cargo/bin (Debian bookworm: packages rustc-web
# cargo-web), unless cached. TEXTSHIM_LIBRARY=<path> uses a library built elsewhere.
set(TEXTSHIM_LIBRARY "" CACHE FILEPATH "a libtextshim.a built elsewhere; empty: the cached one, or build it")
set(TEXTSHIM_MIN_RUST 1.85)
set(_textshim_source ${CMAKE_SOURCE_DIR}/common/text/shim)

function(_textshim_cache_folder out)
  if(DEFINED ENV{CACHECLIP_CACHE})
    set(folder "$ENV{CACHECLIP_CACHE}")
  elseif(DEFINED ENV{XDG_CACHE_HOME})
    set(folder "$ENV{XDG_CACHE_HOME}/cacheclip")
  else()
    set(folder "$ENV{HOME}/.cache/cacheclip")
  endif()
  set(${out} "${folder}" PARENT_SCOPE)
endfunction()

# The first rustc that is new enough, with the cargo beside it. Sets TEXTSHIM_RUSTC, _CARGO, _RUST_VERSION;
# empty: none.
function(_textshim_find_rust)
  set(TEXTSHIM_RUSTC "" PARENT_SCOPE)
  set(folders $ENV{PATH})
  string(REPLACE ":" ";" folders "${folders}")
  list(APPEND folders "$ENV{HOME}/.cargo/bin" /usr/local/bin /usr/bin)
  foreach(folder ${folders})
    # "-web" and "-<version>": how distributions name a second, newer toolchain beside the old one.
    file(GLOB candidates "${folder}/rustc" "${folder}/rustc-web" "${folder}/rustc-1.[0-9]*")
    foreach(rustc ${candidates})
      string(REGEX REPLACE "/rustc([^/]*)$" "/cargo\\1" cargo "${rustc}")
      execute_process(COMMAND ${rustc} --version OUTPUT_VARIABLE version ERROR_QUIET RESULT_VARIABLE failed)
      string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" version "${version}")
      if(NOT failed AND EXISTS "${cargo}" AND version VERSION_GREATER_EQUAL TEXTSHIM_MIN_RUST)
        set(TEXTSHIM_RUSTC "${rustc}" PARENT_SCOPE)
        set(TEXTSHIM_CARGO "${cargo}" PARENT_SCOPE)
        set(TEXTSHIM_RUST_VERSION "${version}" PARENT_SCOPE)
        return()
      endif()
    endforeach()
  endforeach()
endfunction()

function(_textshim_source_hash out)
  file(GLOB files CONFIGURE_DEPENDS ${_textshim_source}/src/*.rs)
  list(SORT files)
  list(APPEND files ${_textshim_source}/Cargo.toml ${_textshim_source}/build.cmake)
  # An edit leads to another cache entry.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${files})
  set(hashes "${CMAKE_SYSTEM_PROCESSOR}")
  foreach(file ${files})
    file(SHA256 ${file} hash)
    list(APPEND hashes ${hash})
  endforeach()
  string(SHA256 hash "${hashes}")
  string(SUBSTRING ${hash} 0 16 hash)
  set(${out} ${hash} PARENT_SCOPE)
endfunction()

# Sets _textshim_library to a file that exists, or to one that target `textshim_build` makes.
function(_textshim_locate)
  _textshim_cache_folder(cache)
  _textshim_source_hash(hash)
  _textshim_find_rust()
  if(TEXTSHIM_RUSTC)
    set(library "${cache}/textshim-${hash}-${TEXTSHIM_RUST_VERSION}/libtextshim.a")
  else()
    file(GLOB cached "${cache}/textshim-${hash}-*/libtextshim.a")
    if(NOT cached)
      message(FATAL_ERROR "common/text/shim needs rustc and cargo >= ${TEXTSHIM_MIN_RUST}: none on the PATH, "
        "in ~/.cargo/bin or /usr/bin, and no library in ${cache}. On Debian bookworm: "
        "apt install rustc-web cargo-web")
    endif()
    list(GET cached 0 library)
  endif()
  set(_textshim_library "${library}" PARENT_SCOPE)
  if(EXISTS "${library}")
    message(STATUS "Text shim: ${library}")
    return()
  endif()
  message(STATUS "Text shim: will be built with ${TEXTSHIM_CARGO} (rustc ${TEXTSHIM_RUST_VERSION})")
  add_custom_command(OUTPUT "${library}"
    COMMAND ${CMAKE_COMMAND} -D SOURCE=${_textshim_source} -D CACHE=${cache} -D OUTPUT=${library}
      -D CARGO=${TEXTSHIM_CARGO} -D RUSTC=${TEXTSHIM_RUSTC} -P ${_textshim_source}/build.cmake
    COMMENT "Building the Rust text library (minutes, once per machine)" USES_TERMINAL VERBATIM)
  add_custom_target(textshim_build DEPENDS "${library}")
endfunction()

if(TEXTSHIM_LIBRARY)
  set(_textshim_library "${TEXTSHIM_LIBRARY}")
else()
  _textshim_locate()
endif()
add_library(textshim STATIC IMPORTED GLOBAL)
set_target_properties(textshim PROPERTIES IMPORTED_LOCATION "${_textshim_library}"
  INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")
if(TARGET textshim_build)
  add_dependencies(textshim textshim_build)
endif()
