// SPDX-License-Identifier: MIT
//
// request_number: names one request of one worker, for Ruby objects that may outlive it.

#pragma once

#include <cstddef>
#include <cstdint>

namespace kino::server {

struct worker_context;

/// A request_number belongs to a worker_context. It has a value for each of its requests, different from those of all other
/// requests of the process, and `find` returns the worker_context for the current one alone. So a Ruby object for a request
/// needs no memory besides this value, and its end costs nothing.
///
/// Threads: the worker's, with the GVL of its Ractor; `find`: threads of the Ractor in which the value was current, likewise.
/// Blocks:  the constructor and the destructor take a leaf lock.
/// Throws:  std::bad_alloc, from the constructor, and std::length_error if there are more than a million of them.
class request_number {
public:
  explicit request_number(worker_context& of);
  request_number(request_number const&) = delete;
  ~request_number();

  /// Another request begins.
  void next() noexcept;
  /// It has ended.
  void end() noexcept;
  /// Of the current request, or the last one; never 0.
  [[nodiscard]] std::uint64_t value() const noexcept;

  /// The worker_context whose current request has this number; null if that has ended.
  [[nodiscard]] static worker_context* find(std::uint64_t number) noexcept;

private:
  struct place;
  class table;

  [[nodiscard]] static table& all();

  std::size_t const index_;
  place& place_;
};

}  // namespace kino::server
