// SPDX-License-Identifier: MIT

#include "observers/route_table.hpp"

#include <algorithm>
#include <bit>
#include <exception>
#include <functional>

namespace kino::server {

route_table::route_table(std::size_t most) : most_(most), places_(std::bit_ceil(2 * most + 1)) {}

route_table::~route_table() {
  for (auto const& place : places_) delete place.load(std::memory_order_relaxed);  // no other thread is left
}

route_times& route_table::find(std::string_view pattern) noexcept {
  char text[longest_pattern];
  std::size_t const size = std::min(pattern.size(), longest_pattern);
  std::transform(pattern.begin(), pattern.begin() + static_cast<std::ptrdiff_t>(size), text,
                 [](char c) { return c >= 0x20 && c < 0x7f ? c : '?'; });
  std::string_view const name(text, size);
  for (std::size_t at = std::hash<std::string_view>()(name) & (places_.size() - 1);; at = (at + 1) & (places_.size() - 1)) {
    // acquire: pairs with the release below; the route is complete.
    route_times* found = places_[at].load(std::memory_order_acquire);
    if (!found) {
      // Threads that come here at once may all count and then find that one was faster.
      if (count_.fetch_add(1, std::memory_order_relaxed) >= most_) {
        count_.fetch_sub(1, std::memory_order_relaxed);
        return other_;
      }
      std::unique_ptr<route_times> fresh;
      try {
        fresh = std::make_unique<route_times>(name);
      } catch (std::exception const&) {
        count_.fetch_sub(1, std::memory_order_relaxed);
        return other_;
      }
      if (places_[at].compare_exchange_strong(found, fresh.get(), std::memory_order_acq_rel, std::memory_order_acquire)) {
        return *fresh.release();
      }
      count_.fetch_sub(1, std::memory_order_relaxed);
    }
    if (found->pattern == name) return *found;
  }
}

}  // namespace kino::server
