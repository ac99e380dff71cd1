# SPDX-License-Identifier: MIT
#
# Deliberately broken servers: each lacks one line, and the simulation of connections (server_simulation.cpp,
# server_http2_simulation.cpp) must fail with each of them.

# kino_add_simulation_mutant(name file old new [simulation]): `old` must occur exactly once in the server's <file>.
function(kino_add_simulation_mutant name file old new)
  set(simulation simulation)
  if(ARGN)
    set(simulation ${ARGN})
  endif()
  set(mutated "${CMAKE_CURRENT_BINARY_DIR}/${simulation}_mutants/${name}.cpp")
  kino_mutate(${name} "${kino_http_server_dir}/${file}" "${old}" "${new}" "${mutated}")

  # The mutated object comes before the library, so the linker does not take the original from it.
  set(target ${simulation}_without_${name})
  add_executable(${target} "${mutated}" $<TARGET_OBJECTS:${simulation}>)
  target_link_libraries(${target} PRIVATE kino_test_main kino_http_server)
  set_target_properties(${target} PROPERTIES CXX_VISIBILITY_PRESET hidden)
  add_test(NAME ${core_label}.server_${simulation}.without.${name} COMMAND ${test_launcher} $<TARGET_FILE:${target}>)
  kino_test_properties(${core_label}.server_${simulation}.without.${name} ${core_label} 60)
  set_tests_properties(${core_label}.server_${simulation}.without.${name} PROPERTIES
    PASS_REGULAR_EXPRESSION "SEED=[0-9]+: ")
  kino_test_target(${core_label} ${target})
endfunction()

set(simulations simulation)
if(nghttp2_FOUND)
  list(APPEND simulations http2_simulation)
endif()
if(wslay_FOUND)
  list(APPEND simulations websocket_simulation)
endif()
foreach(simulation IN LISTS simulations)
  add_library(${simulation} OBJECT EXCLUDE_FROM_ALL unit/server_${simulation}.cpp)
  target_link_libraries(${simulation} PRIVATE kino_test_main kino_http_server)
  set_target_properties(${simulation} PROPERTIES CXX_VISIBILITY_PRESET hidden)
endforeach()

kino_add_simulation_mutant(reading_resumed http1/response_pipeline.cpp [[    add_pending(read_on, then);]] [[]])
kino_add_simulation_mutant(waiting_for_the_client http1/response_pipeline_output.cpp
  [[  add_pending(until, then);]] [[  static_cast<void>(until), static_cast<void>(then);]])
kino_add_simulation_mutant(file_for_the_io_thread http1/response_pipeline_output.cpp [[  if (!reads_files) {
    stall(wait_writable, then);]] [[  if (!reads_files) {
    static_cast<void>(then);]])
kino_add_simulation_mutant(room_for_more_of_a_file http1/response_pipeline_output.cpp
  [[  if (!sent.done()) stall(wait_writable, then);]] [[]])
kino_add_simulation_mutant(room_for_the_writer http1/response_pipeline.cpp
  [[    then.roomy->departures().notify();]] [[]])
kino_add_simulation_mutant(end_for_the_writer http1/response_pipeline.cpp
  [[    done->departures().notify();]] [[    ]])
kino_add_simulation_mutant(room_in_the_body http/body_pipe.cpp [[    result.room_again = true;]] [[]])
kino_add_simulation_mutant(second_write http1/http1_protocol.cpp [[    pipeline_.writable();]] [[]])
kino_add_simulation_mutant(end_of_a_half_closed_connection http1/http1_reading.cpp
  [[  pipeline_.close_after_last();]] [[]])
kino_add_simulation_mutant(input_that_was_taken_ahead net/connection.cpp
  [[    if (!std::exchange(read_due_, true)) wake();]] [[]])

kino_add_simulation_mutant(beginning_of_a_tunnel http1/response_pipeline.cpp [[        add_pending(open_tunnel, then);]] [[]])
kino_add_simulation_mutant(input_of_a_tunnel http1/http1_tunnel.cpp [[  host_.read_on();
}]] [[}]])
kino_add_simulation_mutant(end_of_a_tunnel http1/http1_reading.cpp [[    tunnel_->body().finish();
]] [[]])

kino_add_simulation_mutant(output_of_an_application net/socket_relay.cpp [[  client_waits_ = false;
]] [[]])
kino_add_simulation_mutant(input_of_an_application net/socket_relay.cpp [[  if (was_full && wants_input()) host_.read_on();]]
  [[  static_cast<void>(was_full);]])
kino_add_simulation_mutant(end_for_an_application net/socket_relay.cpp
  [[  if (input_over_ && !std::exchange(input_end_told_, true)) application_->shutdown_write();
]] [[]])

if(nghttp2_FOUND)
  kino_add_simulation_mutant(room_for_the_writer http2/http2_protocol.cpp [[    one->departures().notify();
    one->drop_weak();
  }
  if (then.wake)]] [[    one->drop_weak();
  }
  if (then.wake)]] http2_simulation)
  kino_add_simulation_mutant(window_for_the_client http2/http2_requests.cpp
    [[      session_.consume(state.stream, std::exchange(state.unconsumed, 0));
      ask(watch);]] [[]] http2_simulation)
  kino_add_simulation_mutant(more_of_a_response http2/http2_responses.cpp
    [[      resume(state);
      // A response that is complete]] [[      // A response that is complete]] http2_simulation)
  kino_add_simulation_mutant(waiting_for_the_client http2/http2_output.cpp
    [[      ask(sent.what == io_result::state::wants_readable ? wait_readable : wait_writable);]] [[]] http2_simulation)
  kino_add_simulation_mutant(streams_that_were_reset http2/http2_protocol.cpp
    [[    if (state.attached) {
      state.handed_over]] [[    if (true) {
      state.handed_over]] http2_simulation)
endif()

if(wslay_FOUND)
  kino_add_simulation_mutant(waiting_for_the_client websocket/websocket.cpp
    [[  ask(written.what == io_result::state::wants_readable ? wait_readable : wait_writable, then);]]
    [[  static_cast<void>(written), static_cast<void>(then);]] websocket_simulation)
  kino_add_simulation_mutant(end_of_the_connection websocket/websocket.cpp [[  ask(linger, then);]] [[]] websocket_simulation)
  kino_add_simulation_mutant(reading_resumed websocket/websocket_events.cpp [[      ask(read_on, then);]] [[      static_cast<void>(then);]] websocket_simulation)
  kino_add_simulation_mutant(next_turn websocket/websocket_events.cpp [[    scheduled_ = false;]] [[]] websocket_simulation)
  kino_add_simulation_mutant(room_again websocket/push_protocol.cpp
    [[    of_->stalled_ = false;
    of_->pump(then);
  });]] [[    static_cast<void>(then);
  });]] websocket_simulation)
  kino_add_simulation_mutant(crossed_write websocket/push_protocol.cpp
    [[    of_->pump(then);
    pending = ]] [[    static_cast<void>(then);
    pending = ]] websocket_simulation)
endif()
