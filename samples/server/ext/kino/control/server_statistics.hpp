// SPDX-License-Identifier: MIT
//
// The statistics of a server at one moment.

#pragma once

#include "net/tls_acceptor.hpp"

#include <kino/worker_slots.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace kino::server {

/// Each number is exact, but they are not a consistent snapshot.
struct server_statistics {
  std::uint64_t served;
  std::uint64_t rejected;
  std::uint64_t shed;      ///< those of them that were refused because the queue stayed long
  std::uint64_t timeouts;  ///< no response within request_timeout
  std::uint64_t in_flight;
  std::uint64_t queued;    ///< complete, not begun by a worker, not answered
  std::uint64_t overflow;  ///< those of them for which the workers' queue has no room
  std::uint64_t waited_count;
  double waited_seconds;
  std::uint64_t client_gone;  ///< before a worker began
  std::uint64_t refused;      ///< invalid requests: 4xx of the parser
  std::uint64_t respawns;     ///< workers that replace one that ended
  std::uint64_t recycled;     ///< workers that were replaced after max_requests
  std::size_t alive;          ///< workers that the supervisor knows to be there, without the next ones
  std::size_t quarantined;    ///< workers that are stuck and were put aside
  std::uint64_t quarantines;  ///< how often a worker was
  std::size_t connections;
  std::size_t websockets;  // open, or with events that have not been handled
  std::uint64_t websocket_events;
  std::optional<tls_statistics> tls;
  std::vector<kino::worker_slots::view> slots;
};

}  // namespace kino::server
