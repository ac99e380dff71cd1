# SPDX-License-Identifier: MIT
#
# Defines wslay::wslay, the library for the frames of WebSockets: the shared library, or a static one that was compiled to
# be part of a shared object.

find_path(WSLAY_INCLUDE_DIR NAMES wslay/wslay.h DOC "The directory that contains wslay/wslay.h")
find_library(WSLAY_LIBRARY NAMES wslay DOC "The wslay library")
mark_as_advanced(WSLAY_INCLUDE_DIR WSLAY_LIBRARY)

if(WSLAY_INCLUDE_DIR AND WSLAY_LIBRARY)
  set(wslay_FOUND TRUE)
  if(NOT TARGET wslay::wslay)
    add_library(wslay::wslay UNKNOWN IMPORTED GLOBAL)
    set_target_properties(wslay::wslay PROPERTIES
      IMPORTED_LOCATION "${WSLAY_LIBRARY}"
      INTERFACE_COMPILE_DEFINITIONS KINO_WSLAY)
    target_include_directories(wslay::wslay SYSTEM INTERFACE "${WSLAY_INCLUDE_DIR}")
  endif()
else()
  set(wslay_FOUND FALSE)
  if(wslay_FIND_REQUIRED)
    message(FATAL_ERROR "wslay was not found. Install it (Debian: libwslay-dev) or set WSLAY_INCLUDE_DIR and WSLAY_LIBRARY.")
  endif()
endif()
