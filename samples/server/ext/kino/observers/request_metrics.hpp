// SPDX-License-Identifier: MIT
//
// Histograms of the times of all exchanges.

#pragma once

#include "observers/route_table.hpp"

#include <kino/stats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace kino::server {

/// What statistics call each exchange_end.
inline constexpr std::array<std::string_view, 6> exchange_end_names{"complete",  "disconnected", "cut",
                                                                    "expired",   "abandoned",    "refused"};

/// The sums of what a request_metrics has seen.
struct request_totals {
  kino::latency_histogram queue;  ///< From when the request was ready until a worker took it, or until its end.
  kino::latency_histogram app;    ///< From when a worker took it until the response began, or until its end.
  std::array<kino::latency_histogram, status_classes.size()> total;  ///< From the first byte to the end.
  std::array<std::uint64_t, exchange_end_names.size()> ends{};
  std::uint64_t request_bytes = 0;
  std::uint64_t response_bytes = 0;
};

/// A request_metrics records the times of every exchange, in histograms with fixed buckets: its size and the number of its
/// series depend on nothing that clients or handlers do.
///
/// Each thread writes to one of a few copies, so that threads rarely write to the same memory; readers add them up.
///
/// Threads: any.
/// Blocks:  never, neither observers nor readers.
/// Throws:  std::bad_alloc, from the constructor.
class request_metrics final : public observer {
public:
  /// `routes`: the number of routes that have times of their own; 0: there are no times of routes.
  explicit request_metrics(std::size_t routes = 0) : copies_(std::make_unique<copy[]>(copies)) {
    if (routes != 0) routes_.emplace(routes);
  }

  void ended(exchange_report const& report) noexcept override;

  /// The times by route; null if there are none. Labels of exchanges must be route_times of this table.
  [[nodiscard]] route_table* routes() noexcept { return routes_ ? &*routes_ : nullptr; }
  [[nodiscard]] route_table const* routes() const noexcept { return routes_ ? &*routes_ : nullptr; }

  /// Adds up what has been recorded so far. The parts of one exchange may not all be in it yet.
  void add_to(request_totals& sums) const noexcept;

private:
  static constexpr std::size_t copies = 8;

  struct alignas(64) copy {  // a cache line
    kino::latency_histogram queue;
    kino::latency_histogram app;
    std::array<kino::latency_histogram, status_classes.size()> total;
    std::array<kino::counter, exchange_end_names.size()> ends;
    kino::counter request_bytes;
    kino::counter response_bytes;
  };

  [[nodiscard]] copy& mine() noexcept;

  std::unique_ptr<copy[]> const copies_;
  std::optional<route_table> routes_;
};

}  // namespace kino::server
