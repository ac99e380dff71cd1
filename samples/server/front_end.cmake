# SPDX-License-Identifier: MIT
#
# Defines kino_front_end, the part of the server that speaks HTTP and knows no Ruby, as a library for tests and
# benchmarks. The gem compiles the same files into its extension.

find_package(asio REQUIRED)
find_package(llhttp REQUIRED)

set(kino_front_end_dir "${CMAKE_CURRENT_LIST_DIR}/ext/kino")
# kino::core has no Ruby headers: a file that needs them does not belong on this list.
set(kino_front_end_sources
  answer_writer authority body_pipe body_spool connection connection_body connection_clock exchange front_end
  http_parser io_thread line_guard listener log notice outlet queue_deadline request request_line response_head
  streamed_bodies temporary_files waiting_room)
list(TRANSFORM kino_front_end_sources PREPEND "${kino_front_end_dir}/")
list(TRANSFORM kino_front_end_sources APPEND ".cpp")

if(NOT TARGET kino_front_end)
  add_library(kino_front_end STATIC EXCLUDE_FROM_ALL ${kino_front_end_sources})
  target_include_directories(kino_front_end PUBLIC "${kino_front_end_dir}")
  # As in the extension; kino's own types are hidden, and g++ warns of visible ones that contain them.
  set_target_properties(kino_front_end PROPERTIES CXX_VISIBILITY_PRESET hidden)
  target_link_libraries(kino_front_end PUBLIC kino::core asio::asio kino_llhttp)
endif()
