# SPDX-License-Identifier: MIT
#
# The HTTP part of the server, which does not use Ruby, as libraries for tests and benchmarks. The gem compiles
# the same files into its extension. Each folder includes only those before it on the lists.
#
#   kino_http         messages, the access log, HTTP/1, HTTP/2 and WebSockets, without sockets, and what loads kino_tls
#   kino_http_server  listeners, connections, admission and the control plane, on top of it
#
# kino_add_http_server(SUFFIX definition...) adds another pair, compiled with these definitions.

find_package(asio REQUIRED)
find_package(llhttp REQUIRED)
find_package(nghttp2 QUIET)
if(NOT nghttp2_FOUND)
  message(STATUS "The server is built without HTTP/2: nghttp2 was not found (Debian: libnghttp2-dev)")
endif()
find_package(wslay QUIET)
if(NOT wslay_FOUND)
  message(STATUS "The server is built without native WebSockets: wslay was not found (Debian: libwslay-dev)")
endif()
find_package(ZLIB QUIET)
if(NOT ZLIB_FOUND)
  message(STATUS "The server is built without compression of WebSockets: zlib was not found (Debian: zlib1g-dev)")
endif()

set(kino_http_server_dir "${CMAKE_CURRENT_LIST_DIR}/ext/kino")

function(kino_add_http_server suffix)
  set(http tls base http observers http1)
  if(nghttp2_FOUND)
    list(APPEND http http2)
  endif()
  list(APPEND http websocket)
  foreach(target "kino_http:${http}" "kino_http_server:net;admission;control")
    string(REPLACE ":" ";" folders "${target}")
    list(POP_FRONT folders name)
    list(TRANSFORM folders REPLACE "(.+)" "${kino_http_server_dir}/\\1/*.cpp")
    file(GLOB sources CONFIGURE_DEPENDS ${folders})
    add_library(${name}${suffix} STATIC EXCLUDE_FROM_ALL ${sources})
    target_include_directories(${name}${suffix} PUBLIC "${kino_http_server_dir}")
    target_compile_definitions(${name}${suffix} PUBLIC ${ARGN})
    # As in the extension; kino's own types are hidden, and g++ warns of visible ones that contain them.
    set_target_properties(${name}${suffix} PROPERTIES CXX_VISIBILITY_PRESET hidden)
  endforeach()
  # kino::core has no Ruby headers.
  target_link_libraries(kino_http${suffix} PUBLIC kino::core kino_llhttp ${CMAKE_DL_LIBS})
  if(nghttp2_FOUND)
    target_link_libraries(kino_http${suffix} PUBLIC nghttp2::nghttp2)
  endif()
  if(wslay_FOUND)
    target_link_libraries(kino_http${suffix} PUBLIC wslay::wslay)
  endif()
  if(ZLIB_FOUND)
    target_compile_definitions(kino_http${suffix} PUBLIC KINO_ZLIB)
    target_link_libraries(kino_http${suffix} PUBLIC ZLIB::ZLIB)
  endif()
  target_link_libraries(kino_http_server${suffix} PUBLIC kino_http${suffix} asio::asio)
endfunction()

include("${CMAKE_CURRENT_LIST_DIR}/kino_tls.cmake")
if(NOT TARGET kino_http_server)
  kino_add_http_server("")
endif()
