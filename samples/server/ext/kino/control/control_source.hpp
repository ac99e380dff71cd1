// SPDX-License-Identifier: MIT
//
// What the control plane knows of its server.

#pragma once

#include "control/current_requests.hpp"
#include "control/server_statistics.hpp"
#include "observers/request_metrics.hpp"

#include <kino/stats.hpp>

#include <cstddef>
#include <cstdint>

namespace kino::server {

/// The life of a server, as load balancers see it.
enum class server_phase : std::uint8_t {
  starting,  ///< Its workers are not ready yet.
  serving,
  stuck,     ///< It accepts connections, but all its workers are stuck: see quarantine.
  draining,  ///< It accepts no more connections and finishes what it has.
};

/// A control_source tells the control plane about the server.
///
/// Threads: the control plane's, at any time between its start and its stop.
/// Blocks:  never; it needs no GVL, so it answers whatever the workers do.
/// Throws:  std::bad_alloc.
class control_source {
public:
  [[nodiscard]] virtual server_phase phase() const noexcept = 0;
  [[nodiscard]] virtual server_statistics statistics() const = 0;
  virtual void add_requests_to(request_totals& sums) const noexcept = 0;
  /// The times by route; null if there are none.
  [[nodiscard]] virtual route_table const* routes() const noexcept { return nullptr; }
  /// Adds the waits of Ruby threads for the GVL; returns false if they are not measured.
  [[nodiscard]] virtual bool add_gvl_waits_to(kino::latency_histogram&) const noexcept { return false; }
  [[nodiscard]] virtual current_requests::view request_of(std::size_t worker) const = 0;

protected:
  ~control_source() = default;
};

}  // namespace kino::server
