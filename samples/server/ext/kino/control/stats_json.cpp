// SPDX-License-Identifier: MIT

#include "control/stats_json.hpp"

#include "control/json_writer.hpp"

#include <cstddef>
#include <utility>

namespace kino::server {

namespace {

void write(json_writer& to, tls_statistics const& tls) {
  to.begin_object().pair("handshakes", tls.handshakes).pair("resumed", tls.resumed);
  to.key("failed").begin_object().pair("timeout", tls.timed_out);
  for (auto const& [why, name] : tls_failure_names) to.pair(name, tls.failed[static_cast<std::size_t>(why)]);
  to.end_object().end_object();
}

void write(json_writer& to, kino::worker_slots::view const& slot) {
  to.begin_object().pair("index", slot.index).pair("occupied", slot.occupied).pair("served", slot.served);
  to.pair("in_flight", slot.in_flight).pair("busy_ms", slot.busy.count()).pair("quarantined", slot.quarantined).end_object();
}

}  // namespace

std::string stats_json(server_statistics const& now, control_settings const& facts) {
  std::string text;
  json_writer to(text);
  to.begin_object();
  to.pair("queued", now.queued).pair("overflow", now.overflow).pair("in_flight", now.in_flight);
  to.pair("served", now.served).pair("rejected", now.rejected).pair("shed", now.shed);
  to.pair("timeouts", now.timeouts);
  to.pair("client_gone", now.client_gone).pair("refused", now.refused).pair("connections", now.connections);
  to.pair("websockets", now.websockets).pair("websocket_events", now.websocket_events);
  if (now.tls) write(to.key("tls"), *now.tls);
  to.key("queue_time").begin_object().pair("count", now.waited_count).pair("sum_seconds", now.waited_seconds).end_object();
  to.key("worker_status").begin_array();
  for (auto const& slot : now.slots) {
    if (slot.occupied || slot.workers != 0) write(to, slot);
  }
  to.end_array();
  to.pair("mode", facts.mode).pair("workers", facts.workers).pair("threads", facts.threads);
  to.pair("respawns", now.respawns).pair("recycled", now.recycled).pair("alive", now.alive);
  to.pair("quarantined", now.quarantined).pair("quarantines", now.quarantines);
  to.end_object();
  text += '\n';
  return text;
}

}  // namespace kino::server
