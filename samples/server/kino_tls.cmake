# SPDX-License-Identifier: MIT
#
# The target kino_tls, the part of the server that knows BoringSSL: a shared object of its own, in the directory of the
# extension, which loads it when TLS is configured. Without BoringSSL there is no such target.

if(TARGET kino_tls)
  return()
endif()
find_package(boringssl QUIET)
if(NOT boringssl_FOUND)
  message(STATUS "The server is built without TLS: BoringSSL was not found (Debian: android-libboringssl-dev, or set "
    "KINO_BORINGSSL)")
  return()
endif()

file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/ext/kino/tls/engine/*.cpp")
set(exports "${CMAKE_CURRENT_LIST_DIR}/ext/kino/tls/engine/kino_tls.exports")
add_library(kino_tls MODULE ${sources})
target_compile_features(kino_tls PRIVATE cxx_std_20)
target_include_directories(kino_tls PRIVATE "${CMAKE_CURRENT_LIST_DIR}/ext/kino")
target_link_libraries(kino_tls PRIVATE boringssl::ssl Threads::Threads)
set_target_properties(kino_tls PROPERTIES
  PREFIX ""
  CXX_VISIBILITY_PRESET hidden
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/samples/server/lib"
  INSTALL_RPATH "$ORIGIN/kino_boringssl")
if(APPLE)
  set_target_properties(kino_tls PROPERTIES SUFFIX .bundle)
  target_link_options(kino_tls PRIVATE LINKER:-exported_symbol,_kino_tls_functions)
else()
  target_link_options(kino_tls PRIVATE
    "LINKER:--version-script,${exports}" LINKER:-z,relro LINKER:-z,now LINKER:-z,nodelete)
  set_property(TARGET kino_tls APPEND PROPERTY LINK_DEPENDS "${exports}")
endif()
