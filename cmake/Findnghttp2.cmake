# SPDX-License-Identifier: MIT
#
# Defines nghttp2::nghttp2, the library for HTTP/2: the shared library, or a static one that was compiled to be part of a
# shared object (Debian's was not).

find_path(NGHTTP2_INCLUDE_DIR NAMES nghttp2/nghttp2.h DOC "The directory that contains nghttp2/nghttp2.h")
find_library(NGHTTP2_LIBRARY NAMES nghttp2 DOC "The nghttp2 library")
mark_as_advanced(NGHTTP2_INCLUDE_DIR NGHTTP2_LIBRARY)

if(NGHTTP2_INCLUDE_DIR AND NGHTTP2_LIBRARY)
  set(nghttp2_FOUND TRUE)
  if(NOT TARGET nghttp2::nghttp2)
    add_library(nghttp2::nghttp2 UNKNOWN IMPORTED GLOBAL)
    set_target_properties(nghttp2::nghttp2 PROPERTIES
      IMPORTED_LOCATION "${NGHTTP2_LIBRARY}"
      INTERFACE_COMPILE_DEFINITIONS KINO_NGHTTP2)
    target_include_directories(nghttp2::nghttp2 SYSTEM INTERFACE "${NGHTTP2_INCLUDE_DIR}")
  endif()
else()
  set(nghttp2_FOUND FALSE)
  if(nghttp2_FIND_REQUIRED)
    message(FATAL_ERROR "nghttp2 was not found. Install it (Debian: libnghttp2-dev) or set NGHTTP2_INCLUDE_DIR and "
      "NGHTTP2_LIBRARY.")
  endif()
endif()
