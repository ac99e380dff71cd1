// SPDX-License-Identifier: MIT
//
// async_sink: writes lines from many threads to one file or logging daemon; no caller waits for it.

#pragma once

#include <kino/detail/datagram_writer.hpp>
#include <kino/detail/sink_process.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

KINO_NAMESPACE_BEGIN

/// An async_sink writes lines to a file, a pipe, a terminal or the socket of a daemon from a dedicated thread.
///
/// `write` copies the line into a bounded queue and returns. A writer thread, started by the first line, makes the
/// system calls. If the file cannot accept lines (a pipe without a reader, a full disk), the queue fills, and further
/// lines are dropped and counted. Once the file accepts lines again, the sink reports how many were dropped. A caller
/// never waits for the log and never fails because of it.
///
/// A daemon gets each line as one datagram. While its queue is full, lines wait in the sink. While there is no daemon,
/// lines are dropped; the first line after it has been started again reaches it.
///
/// Threads:  any, for every member but the destructor.
/// GVL:      not needed; `write`, `start` and `reopen` may be called with it.
/// Blocks:   `flush`, `close` and the destructor, for at most the stated time. `write` never: it takes no lock and
///           makes a system call only to wake a sleeping writer.
/// Order:    a line written before another, by any thread, appears before it.
/// Errors:   none reach a caller; they are counted in `dropped`. Only the constructor throws.
/// Signals:  SIGPIPE is blocked in every thread that writes. `reopen` may be called in a signal handler.
/// Fork:     a child's sink is empty and usable: its first line starts a new thread. The parent writes the lines
///           that were queued before the fork.
/// Memory:   `options::capacity` and one block of up to 64 KiB.
///
/// Example:
///
///     kino::async_sink log("/dev/null");
///     log.write("ready\n");
///     assert(log.flush(std::chrono::seconds(10)));
///     assert(log.written() == 1 && log.dropped() == 0);
///
class async_sink {
public:
  /// `capacity`: maximum number of queued bytes; `report`: makes the line that reports dropped lines.
  using options = detail::sink_options;
  /// The socket of a daemon: its `path`, and `wrap`, which makes the datagram of a line.
  using daemon = detail::datagram_target;

  /// Writes to `descriptor`. The caller keeps ownership and must keep it open; it is not made non-blocking.
  explicit async_sink(int descriptor, options chosen = {});
  /// Appends to the file at `path`, which is created if necessary. Throws std::system_error.
  explicit async_sink(std::string path, options chosen = {});
  /// Sends datagrams to the Unix socket of `target`. Throws std::system_error if no daemon has bound it.
  explicit async_sink(daemon target, options chosen = {});
  async_sink(async_sink const&) = delete;
  async_sink& operator=(async_sink const&) = delete;
  /// Closes; waits at most a second for queued lines.
  ~async_sink();

  /// Queues a copy of `line`, which must end with a line feed. Returns false if it was dropped because the queue is full
  /// or closed.
  bool write(std::string_view line) noexcept;
  /// Starts the writer thread now instead of with the first line. Returns false if no thread can be created: `write`
  /// then writes in the calling thread as much as it can without blocking.
  bool start() noexcept;
  /// Reopens the file or connects to the socket at its path before the next line, for log rotation. A sink without a path
  /// ignores it. A file or socket that was renamed or removed is also reopened by itself, within a second.
  void reopen() noexcept;
  /// Waits at most `patience` until all lines queued before the call have been written or dropped, and dropped lines
  /// have been reported, unless the report failed.
  bool flush(std::chrono::nanoseconds patience) noexcept;
  /// Refuses further lines and ends the writer, which has `patience` to write the queued lines; the rest is dropped.
  /// Returns true if no line was dropped.
  bool close(std::chrono::nanoseconds patience) noexcept;

  /// Number of lines handed to the operating system.
  [[nodiscard]] std::uint64_t written() const noexcept;
  /// Number of lines lost because the queue was full or closed, or because the file did not accept them.
  [[nodiscard]] std::uint64_t dropped() const noexcept;

private:
  async_sink(std::unique_ptr<detail::line_output> output, options chosen)
      : options_(std::make_shared<options const>(std::move(chosen))),
        current_(new detail::sink_process(options_, std::move(output))) {}

  // The state of this process; a forked child creates its own.
  detail::sink_process& here() const noexcept;

  std::shared_ptr<options const> const options_;
  mutable detail::atomic<detail::sink_process*> current_;
};

// --- implementation ---------------------------------------------------------

inline async_sink::async_sink(int descriptor, options chosen)
    : async_sink(std::make_unique<detail::line_writer>(descriptor), std::move(chosen)) {}

inline async_sink::async_sink(std::string path, options chosen)
    : async_sink(std::make_unique<detail::line_writer>(std::move(path)), std::move(chosen)) {}

inline async_sink::async_sink(daemon target, options chosen)
    : async_sink(std::make_unique<detail::datagram_writer>(std::move(target)), std::move(chosen)) {}

inline async_sink::~async_sink() {
  // acquire: pairs with the release in here.
  detail::sink_process* const mine = current_.load(std::memory_order_acquire);
  // In a child, this would join the parent's writer. Leak the state instead.
  if (mine->forked()) return;
  mine->close(detail::clock::now() + std::chrono::seconds(1));
  mine->drop();
}

inline detail::sink_process& async_sink::here() const noexcept {
  detail::sink_process* seen = current_.load(std::memory_order_acquire);  // pairs with the exchange
  while (seen->forked()) [[unlikely]] {
    // Leave the parent's state alone: its locks and queue may be in any state.
    try {
      auto fresh = std::make_unique<detail::sink_process>(options_, seen->output().in_child());
      if (current_.compare_exchange_strong(seen, fresh.get(), std::memory_order_acq_rel)) {
        return *fresh.release();
      }
    } catch (std::exception const&) {
      return *seen;  // no memory or descriptors for a new one: lines are lost
    }
  }
  return *seen;
}

inline bool async_sink::write(std::string_view line) noexcept { return here().write(line); }
inline bool async_sink::start() noexcept { return here().start(); }
inline void async_sink::reopen() noexcept { here().reopen(); }
inline bool async_sink::flush(std::chrono::nanoseconds patience) noexcept {
  return here().flush(detail::deadline_after(patience));
}
inline bool async_sink::close(std::chrono::nanoseconds patience) noexcept {
  return here().close(detail::deadline_after(patience));
}
inline std::uint64_t async_sink::written() const noexcept { return here().written(); }
inline std::uint64_t async_sink::dropped() const noexcept { return here().dropped(); }

KINO_NAMESPACE_END
