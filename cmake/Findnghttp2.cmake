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
    # Since 1.57, and in older versions that were mended by their distributor.
    include(CheckCXXSymbolExists)
    set(CMAKE_REQUIRED_LIBRARIES nghttp2::nghttp2)
    check_cxx_symbol_exists(nghttp2_option_set_stream_reset_rate_limit nghttp2/nghttp2.h KINO_NGHTTP2_RESET_LIMIT)
    unset(CMAKE_REQUIRED_LIBRARIES)
    if(KINO_NGHTTP2_RESET_LIMIT)
      set_property(TARGET nghttp2::nghttp2 APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS KINO_NGHTTP2_RESET_LIMIT)
    endif()
  endif()
else()
  set(nghttp2_FOUND FALSE)
  if(nghttp2_FIND_REQUIRED)
    message(FATAL_ERROR "nghttp2 was not found. Install it (Debian: libnghttp2-dev) or set NGHTTP2_INCLUDE_DIR and "
      "NGHTTP2_LIBRARY.")
  endif()
endif()
