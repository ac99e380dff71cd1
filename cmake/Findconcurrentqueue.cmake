# SPDX-License-Identifier: MIT
#
# Defines concurrentqueue::concurrentqueue, moodycamel's lock-free queue: from CONCURRENTQUEUE_INCLUDE_DIR if set,
# from its CMake package if there is one, or else from the headers, which are all that Debian 12 ships.
# kino/detail/concurrent_queue.hpp selects the spelling of the include.

if(NOT CONCURRENTQUEUE_INCLUDE_DIR)
  find_package(concurrentqueue CONFIG QUIET)
endif()
if(NOT TARGET concurrentqueue::concurrentqueue)
  find_path(CONCURRENTQUEUE_INCLUDE_DIR
    NAMES
      concurrentqueue/moodycamel/concurrentqueue.h
      concurrentqueue/concurrentqueue.h
      moodycamel/concurrentqueue.h
    DOC "The directory that contains concurrentqueue/concurrentqueue.h")
  mark_as_advanced(CONCURRENTQUEUE_INCLUDE_DIR)
  if(CONCURRENTQUEUE_INCLUDE_DIR)
    add_library(concurrentqueue::concurrentqueue INTERFACE IMPORTED GLOBAL)
    target_include_directories(concurrentqueue::concurrentqueue
      INTERFACE "${CONCURRENTQUEUE_INCLUDE_DIR}")
  endif()
endif()

if(TARGET concurrentqueue::concurrentqueue)
  set(concurrentqueue_FOUND TRUE)
else()
  set(concurrentqueue_FOUND FALSE)
  set(concurrentqueue_NOT_FOUND_MESSAGE
    "concurrentqueue.h was not found. Install it (Debian: libconcurrentqueue-dev) or set CONCURRENTQUEUE_INCLUDE_DIR.")
  if(concurrentqueue_FIND_REQUIRED)
    message(FATAL_ERROR "${concurrentqueue_NOT_FOUND_MESSAGE}")
  endif()
endif()
