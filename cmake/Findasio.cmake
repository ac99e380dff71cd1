# SPDX-License-Identifier: MIT
#
# Defines asio::asio, the standalone, header-only Asio. Without ASIO_DISABLE_VISIBILITY, Asio's symbols are
# exported and merge between extensions that contain different releases of it; from 1.38 on, its namespace can
# contain the release, too.

find_path(ASIO_INCLUDE_DIR NAMES asio.hpp DOC "The directory that contains asio.hpp")
mark_as_advanced(ASIO_INCLUDE_DIR)

if(ASIO_INCLUDE_DIR)
  set(asio_FOUND TRUE)
  if(NOT TARGET asio::asio)
    find_package(Threads REQUIRED)
    add_library(asio::asio INTERFACE IMPORTED GLOBAL)
    target_include_directories(asio::asio INTERFACE "${ASIO_INCLUDE_DIR}")
    target_compile_definitions(asio::asio INTERFACE
      ASIO_STANDALONE
      ASIO_NO_DEPRECATED
      ASIO_DISABLE_VISIBILITY
      ASIO_ENABLE_VERSION_NAMESPACE)
    target_link_libraries(asio::asio INTERFACE Threads::Threads)
  endif()
else()
  set(asio_FOUND FALSE)
  if(asio_FIND_REQUIRED)
    message(FATAL_ERROR
      "asio.hpp was not found. Install it (Debian: libasio-dev) or set ASIO_INCLUDE_DIR.")
  endif()
endif()
