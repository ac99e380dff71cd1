# SPDX-License-Identifier: MIT
#
# Defines wslay::wslay, the library for the frames of WebSockets: the shared library, or a static one that was compiled to
# be part of a shared object.

include("${CMAKE_CURRENT_LIST_DIR}/kino-find.cmake")
kino_find_library(wslay)
