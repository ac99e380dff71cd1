# SPDX-License-Identifier: MIT
#
# Defines nghttp2::nghttp2, the library for HTTP/2: the shared library, or a static one that was compiled to be part of a
# shared object (Debian's was not).

include("${CMAKE_CURRENT_LIST_DIR}/kino-find.cmake")
kino_find_library(nghttp2)

if(nghttp2_FOUND)
  # Since 1.57, and in older versions that were mended by their distributor.
  include(CheckCXXSymbolExists)
  set(CMAKE_REQUIRED_LIBRARIES nghttp2::nghttp2)
  check_cxx_symbol_exists(nghttp2_option_set_stream_reset_rate_limit nghttp2/nghttp2.h KINO_NGHTTP2_RESET_LIMIT)
  unset(CMAKE_REQUIRED_LIBRARIES)
  if(KINO_NGHTTP2_RESET_LIMIT)
    set_property(TARGET nghttp2::nghttp2 APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS KINO_NGHTTP2_RESET_LIMIT)
  endif()
endif()
