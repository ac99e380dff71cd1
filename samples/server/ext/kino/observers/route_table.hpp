// SPDX-License-Identifier: MIT
//
// Histograms by route, for as many routes as there is room for.

#pragma once

#include "http/observer.hpp"

#include <kino/stats.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kino::server {

/// The classes of exchanges by the status of their response. A client takes an unknown status for one of class 5xx.
inline constexpr std::array<std::string_view, 6> status_classes{"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

/// A route_times has the times of the exchanges that an application has counted for one route.
struct route_times final : exchange_label {
  explicit route_times(std::string_view name) : pattern(name) {}

  std::string const pattern;
  std::array<kino::latency_histogram, status_classes.size()> total;
};

/// A route_table finds the route_times of a pattern, such as "/users/:id". It makes those of the first patterns that it is asked
/// for; all further patterns share one, "other". An application that passes paths instead of patterns thus costs no more.
///
/// Patterns consist of printable ASCII characters: others become "?". They are cut after 200.
///
/// Threads: any.
/// Blocks:  never: `find` takes no lock.
/// Lifetime: a route_times lives as long as the table.
/// Throws:  std::bad_alloc, from the constructor. Without memory for another route, `find` returns that of "other".
class route_table {
public:
  static constexpr std::size_t longest_pattern = 200;

  /// `most`: the number of patterns besides "other".
  explicit route_table(std::size_t most);
  route_table(route_table const&) = delete;
  route_table& operator=(route_table const&) = delete;
  ~route_table();

  [[nodiscard]] route_times& find(std::string_view pattern) noexcept;

  /// Calls `each(route)` for all of them.
  template <class Each>
  void for_each(Each each) const {
    for (auto const& place : places_) {
      // acquire: pairs with find.
      if (route_times const* const found = place.load(std::memory_order_acquire)) each(*found);
    }
    each(other_);
  }

private:
  std::size_t const most_;
  std::vector<std::atomic<route_times*>> places_;  // at most half are used, so that a search ends
  std::atomic<std::size_t> count_{0};              // relaxed: only its own values matter
  route_times other_{"other"};
};

}  // namespace kino::server
