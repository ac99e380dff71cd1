# SPDX-License-Identifier: MIT
#
# Defines kino_llhttp, the HTTP/1 parser: the system's library if there is one, otherwise a static library from
# the C sources that Debian 12 ships inside node-llhttp. Those parse leniently unless configured to be strict; the
# libraries (9.x) are strict by default.

find_path(LLHTTP_INCLUDE_DIR NAMES llhttp.h PATH_SUFFIXES share/include/llhttp
  DOC "The directory that contains llhttp.h")
find_library(LLHTTP_LIBRARY NAMES llhttp DOC "The llhttp library")
find_path(LLHTTP_SOURCE_DIR NAMES llhttp.c PATHS ENV CMAKE_PREFIX_PATH PATH_SUFFIXES share/llhttp
  DOC "The directory that contains llhttp.c, api.c and http.c")
mark_as_advanced(LLHTTP_INCLUDE_DIR LLHTTP_LIBRARY LLHTTP_SOURCE_DIR)

if(LLHTTP_INCLUDE_DIR AND (LLHTTP_LIBRARY OR LLHTTP_SOURCE_DIR))
  set(llhttp_FOUND TRUE)
else()
  set(llhttp_FOUND FALSE)
  if(llhttp_FIND_REQUIRED)
    message(FATAL_ERROR
      "llhttp was not found. Install it (Debian: libllhttp-dev; Debian 12: node-llhttp) or set "
      "LLHTTP_INCLUDE_DIR and one of LLHTTP_LIBRARY and LLHTTP_SOURCE_DIR.")
  endif()
endif()

if(llhttp_FOUND AND NOT TARGET kino_llhttp)
  if(LLHTTP_LIBRARY)
    add_library(kino_llhttp INTERFACE)
    target_link_libraries(kino_llhttp INTERFACE "${LLHTTP_LIBRARY}")
    target_include_directories(kino_llhttp SYSTEM INTERFACE "${LLHTTP_INCLUDE_DIR}")
  else()
    enable_language(C)
    add_library(kino_llhttp STATIC EXCLUDE_FROM_ALL
      "${LLHTTP_SOURCE_DIR}/api.c"
      "${LLHTTP_SOURCE_DIR}/http.c"
      "${LLHTTP_SOURCE_DIR}/llhttp.c")
    target_include_directories(kino_llhttp SYSTEM PUBLIC "${LLHTTP_INCLUDE_DIR}")
    target_compile_definitions(kino_llhttp PUBLIC LLHTTP_STRICT_MODE=1)
    set_target_properties(kino_llhttp PROPERTIES
      POSITION_INDEPENDENT_CODE ON
      C_VISIBILITY_PRESET hidden
      COMPILE_WARNING_AS_ERROR OFF)
    if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
      target_compile_options(kino_llhttp PRIVATE -O2)
    endif()
  endif()
endif()
