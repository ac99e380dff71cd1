// SPDX-License-Identifier: MIT

#include "control/workers_json.hpp"

#include "control/json_writer.hpp"

#include <chrono>

namespace kino::server {

namespace {

double milliseconds(clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

void write(json_writer& to, kino::worker_slots::view const& slot, current_requests::view const& request, clock::time_point now) {
  to.begin_object().pair("index", slot.index).pair("occupied", slot.occupied).pair("quarantined", slot.quarantined);
  to.pair("served", slot.served).pair("in_flight", slot.in_flight).pair("busy_ms", slot.busy.count());
  to.key("thread_id");
  request.thread_id == 0 || !slot.occupied ? to.null() : to.value(request.thread_id);
  to.key("request");
  if (!request.busy || !slot.occupied) {
    to.null().end_object();
    return;
  }
  to.begin_object().pair("method", request.method).pair("path", request.path).pair("path_is_cut", request.cut);
  to.pair("queue_ms", milliseconds(request.began - request.ready)).pair("ms", milliseconds(now - request.began));
  to.end_object().end_object();
}

}  // namespace

std::string workers_json(control_source const& source, backtraces const* wanted) {
  std::string text;
  json_writer to(text);
  server_statistics const all = source.statistics();
  clock::time_point const now = clock::now();
  to.begin_object().key("workers").begin_array();
  for (auto const& slot : all.slots) {
    if (slot.occupied || slot.workers != 0) write(to, slot, source.request_of(slot.index), now);
  }
  to.end_array();
  if (wanted) {
    to.key("threads");
    *wanted ? to.raw(**wanted) : to.null();
    to.key("threads_missing");
    *wanted ? to.null() : to.value("Ruby did not answer within a second: a thread keeps the GVL");
  }
  to.end_object();
  text += '\n';
  return text;
}

}  // namespace kino::server
