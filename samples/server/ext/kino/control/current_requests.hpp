// SPDX-License-Identifier: MIT
//
// The request that each worker has now, for the control plane.

#pragma once

#include "base/options.hpp"
#include "http/request.hpp"

#include <kino/leaf_mutex.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace kino::server {

/// A current_requests keeps a copy of method and path of each worker's request. It is never the query, which may have secrets.
///
/// Threads: `joined`, `began` and `ended`: the worker of that slot; `of`: any.
/// Blocks:  never; each slot has a leaf lock, which is held while at most 272 bytes are copied.
/// Throws:  std::bad_alloc, from the constructor and `of`.
class current_requests {
public:
  struct view {
    std::int64_t thread_id = 0;  ///< Of the operating system; 0: unknown.
    bool busy = false;
    std::string method;
    std::string path;  ///< As it was sent; its first 256 bytes.
    bool cut = false;  ///< There are more.
    clock::time_point ready{};
    clock::time_point began{};
  };

  /// For workers 0 to `workers` - 1. None: nothing is kept, and nothing costs anything.
  explicit current_requests(std::size_t workers)
      : count_(workers), slots_(workers ? std::make_unique<slot[]>(workers) : nullptr) {}

  /// Whether requests are kept at all.
  [[nodiscard]] bool kept() const { return count_ != 0; }

  /// The calling thread is the worker.
  void joined(std::size_t worker) noexcept;
  void began(std::size_t worker, request const& head, clock::time_point ready) noexcept;
  void ended(std::size_t worker) noexcept;

  [[nodiscard]] view of(std::size_t worker) const;

private:
  struct alignas(64) slot {  // a cache line
    mutable kino::leaf_mutex mutex;
    bool busy = false;  // guarded, as is all that follows
    bool cut = false;
    std::uint16_t method_size = 0;
    std::uint16_t path_size = 0;
    std::int64_t thread_id = 0;
    clock::time_point ready{};
    clock::time_point began{};
    std::array<char, 16> method;
    std::array<char, 256> path;
  };

  std::size_t const count_;
  std::unique_ptr<slot[]> const slots_;
};

}  // namespace kino::server
