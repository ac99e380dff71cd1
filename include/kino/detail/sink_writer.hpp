// SPDX-License-Identifier: MIT
//
// The writer of a sink: writes queued lines to its output in blocks, and reports dropped lines.

#pragma once

#include <kino/detail/deadline.hpp>
#include <kino/detail/line_output.hpp>
#include <kino/detail/line_queue.hpp>
#include <kino/notifier.hpp>

#include <algorithm>
#include <chrono>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <poll.h>
#include <string>
#include <string_view>
#include <utility>

KINO_NAMESPACE_BEGIN
namespace detail {

struct sink_options {
  /// Maximum number of queued bytes, including about 20 bytes of bookkeeping per line.
  std::size_t capacity = std::size_t{1} << 20;
  /// Makes the line that reports dropped lines from their number; empty: "kino: 12 log lines were dropped".
  std::function<std::string(std::uint64_t)> report = nullptr;
};

/// A sink_writer takes lines out of a line_queue and writes them.
///
/// Threads: `reopen`, `notify` and `limit`: any; the others: the writer, with SIGPIPE blocked.
/// Blocks:  `write_block` and `report` while the output is not writable, until the limit; `await_notice`.
/// Errors:  lines that cannot be written are lost; the caller counts them.
class sink_writer {
public:
  /// `options` and `lines` must outlive it. Throws std::system_error.
  sink_writer(sink_options const& options, line_queue& lines, std::unique_ptr<line_output> output)
      : options_(options), queue_(lines), output_(std::move(output)) {}

  [[nodiscard]] line_output const& output() const noexcept { return *output_; }

  /// Reopens the output before the next block. May be called in a signal handler.
  void reopen() noexcept {
    reopen_asked_.store(true, std::memory_order_seq_cst);
    wake_.notify();
  }
  /// Ends the current or the next `await_notice`.
  void notify() noexcept { wake_.notify(); }
  /// Sets the time at which writing to an output that is not writable is given up.
  void limit(deadline until) noexcept {
    lock guard(mutex_);
    limit_ = until;
  }

  /// The number of lines taken from the queue, and whether all of them were written.
  struct block {
    std::uint64_t lines;
    bool good;
  };
  /// Writes one block of queued lines, or one long line.
  block write_block() noexcept;
  /// When dropped lines are reported: as soon as there are no lines to write, but at most once a second; otherwise after
  /// a second; or now.
  enum class urgency { busy, idle, now };
  /// Reports the lines dropped since the last report, given the `total` so far. Returns when to call it again, if it
  /// is too early.
  deadline report(std::uint64_t total, urgency how) noexcept;
  /// Waits until `until` for `notify` or `reopen`; returns whether there was one.
  bool await_notice(deadline until) noexcept {
    pollfd wake{wake_.fd(), POLLIN, 0};
    ::poll(&wake, 1, milliseconds_until(until));
    return wake.revents != 0 && wake_.consume();
  }

private:
  static constexpr std::chrono::seconds report_delay{1};
  // How often an output is looked for at its path.
  static constexpr std::chrono::seconds look_delay{1};

  bool put(std::string_view bytes) noexcept;
  bool await_writable(int descriptor) noexcept;
  void obey() noexcept;
  deadline limit() noexcept {
    lock guard(mutex_);
    return limit_;
  }
  static int milliseconds_until(deadline until) noexcept;

  sink_options const& options_;
  line_queue& queue_;
  notifier wake_;
  std::unique_ptr<line_output> const output_;
  std::string bytes_;
  std::uint64_t reported_ = 0;
  clock::time_point noticed_{};     // when the first unreported drop was noticed
  clock::time_point reported_at_{};
  clock::time_point looked_at_{};
  atomic<bool> reopen_asked_{false};
  mutex mutex_;
  deadline limit_;  // guarded by mutex_
};

// --- implementation ---------------------------------------------------------

inline sink_writer::block sink_writer::write_block() noexcept {
  obey();
  std::uint64_t lines = 0;
  std::string_view line;
  std::size_t size = 0;
  bool good = true;
  bytes_.clear();
  while (queue_.peek(size)) {
    bool const fits = bytes_.size() + size <= output_->block_size();
    if (!fits && lines != 0) break;
    static_cast<void>(queue_.pop(line));
    ++lines;
    if (!fits) {
      good = put(line);
      break;
    }
    try {
      bytes_.append(line);
    } catch (std::bad_alloc const&) {
      good = false;
      break;
    }
  }
  if (!bytes_.empty()) good = put(bytes_) && good;
  return {lines, good};
}

inline bool sink_writer::put(std::string_view bytes) noexcept {
  line_output::wait_function const wait = [this](int descriptor) { return await_writable(descriptor); };
  int const error = output_->write(bytes, wait);
  if (error == 0) return true;
  // The file or the daemon may have been replaced; retry once with the new one.
  if (error == ETIMEDOUT || !output_->has_path() || output_->reopen() != 0) return false;
  return output_->write(bytes, wait) == 0;
}

// Waits until `descriptor` is writable or the writer is notified; returns false at the limit.
inline bool sink_writer::await_writable(int descriptor) noexcept {
  deadline const until = limit();
  if (until && clock::now() >= *until) return false;
  pollfd both[] = {{descriptor, POLLOUT, 0}, {wake_.fd(), POLLIN, 0}};
  ::poll(both, 2, milliseconds_until(until));
  if (both[1].revents) static_cast<void>(wake_.consume());
  obey();
  return true;
}

// Rounded up: otherwise a wait that ends early would be followed by one of 0 ms.
inline int sink_writer::milliseconds_until(deadline until) noexcept {
  if (!until) return -1;
  auto const left = std::chrono::ceil<std::chrono::milliseconds>(*until - clock::now());
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, 1 << 30));
}

inline void sink_writer::obey() noexcept {
  bool asked = reopen_asked_.exchange(false, std::memory_order_seq_cst);
  if (auto const now = clock::now(); !asked && now - looked_at_ >= look_delay) {
    looked_at_ = now;
    asked = output_->moved();
  }
  if (asked) static_cast<void>(output_->reopen());  // the old one is better than none
}

inline deadline sink_writer::report(std::uint64_t total, urgency how) noexcept {
  if (total == reported_) return std::nullopt;
  auto const now = clock::now();
  if (noticed_ == clock::time_point()) noticed_ = now;
  auto const due = (how == urgency::busy ? noticed_ : reported_at_) + report_delay;
  if (how != urgency::now && now < due) return due;
  reported_at_ = now;
  std::uint64_t const missing = total - reported_;
  try {
    std::string const text =
        options_.report ? options_.report(missing)
                        : "kino: " + std::to_string(missing) + " log lines were dropped\n";
    if (put(text)) {
      reported_ = total;
      noticed_ = {};
    }
  } catch (std::exception const&) {
    // Retried with the next line, when there may be more memory.
  }
  return std::nullopt;
}

}  // namespace detail
KINO_NAMESPACE_END
