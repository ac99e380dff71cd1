// SPDX-License-Identifier: MIT
//
// Where the writer of a sink puts its lines: a file, or the socket of a daemon.

#pragma once

#include <kino/detail/config.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A line_output writes lines to one destination. line_writer and datagram_writer implement it.
///
/// Threads: one at a time. SIGPIPE must be blocked (sigpipe_guard).
/// Errors:  an errno value; unwritten bytes are lost.
class line_output {
public:
  /// Called with a descriptor that is not writable: returns true to try again, false to give up (ETIMEDOUT).
  using wait_function = std::function<bool(int)>;

  line_output() = default;
  line_output(line_output const&) = delete;
  line_output& operator=(line_output const&) = delete;
  virtual ~line_output() = default;

  /// The preferred number of bytes for one `write`, which then has several whole lines; 0: one line each time.
  [[nodiscard]] virtual std::size_t block_size() const noexcept = 0;
  /// Writes all of `bytes`, which may be empty. Returns 0 or an errno value.
  virtual int write(std::string_view bytes, wait_function const& wait) = 0;
  /// Whether `reopen` may lead to something else.
  [[nodiscard]] virtual bool has_path() const noexcept = 0;
  /// Whether the path no longer leads to what is open.
  [[nodiscard]] virtual bool moved() const noexcept = 0;
  /// Opens the path again; does nothing without one. On an error, returns its errno value and keeps what is open.
  virtual int reopen() noexcept = 0;
  /// In a forked child: the same destination, with a descriptor of its own if it has a path. Throws std::bad_alloc.
  [[nodiscard]] virtual std::unique_ptr<line_output> in_child() const = 0;
};

}  // namespace detail
KINO_NAMESPACE_END
