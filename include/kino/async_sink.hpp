// SPDX-License-Identifier: MIT
//
// async_sink: lines from many threads to one file, with no thread waiting for the file.

#pragma once

#include <kino/detail/sink_process.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

KINO_NAMESPACE_BEGIN

/// An async_sink writes lines to a file, a pipe or a terminal from a thread of its own.
///
/// `write` copies the line into a bounded queue and returns; a writer thread, started with the first line, does
/// the system calls. If the file cannot take the lines (a pipe without a reader, a full disk, a reader that has gone)
/// the queue fills, further lines are dropped and counted, and once the file takes lines again the sink reports
/// how many were dropped. Nothing that logs waits for its log, or fails by it.
///
/// Threads:  any, for every member but the destructor.
/// GVL:      not needed; `write`, `start` and `reopen` may be called with it.
/// Blocks:   `flush`, `close` and the destructor, at most as long as they say. `write` never: it takes no lock and
///           makes a system call only to wake a sleeping writer.
/// Order:    a line written before another one, by whichever thread, appears before it.
/// Errors:   none reach a caller; they are counted in `dropped`. Only the constructor throws.
/// Signals:  SIGPIPE is kept from every thread that writes. `reopen` may be called in a signal handler.
/// Fork:     a child's sink is empty and works: its first line starts a thread of its own. What was queued before
///           the fork is written by the parent.
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
  /// What a sink is made with: `capacity`, the bytes queued at most, and `report`, which makes the line about dropped ones.
  using options = detail::sink_options;

  /// Writes to `descriptor`, which stays the caller's, must stay open, and is not made non-blocking.
  explicit async_sink(int descriptor, options chosen = {});
  /// Appends to the file at `path`, made if need be. Throws std::system_error.
  explicit async_sink(std::string path, options chosen = {});
  async_sink(async_sink const&) = delete;
  async_sink& operator=(async_sink const&) = delete;
  /// Closes, waiting at most a second for what is queued.
  ~async_sink();

  /// Queues a copy of `line`, which brings its own line feed. False if it was dropped: the queue is full, or closed.
  bool write(std::string_view line) noexcept;
  /// Starts the writer thread now rather than with the first line. False if the system has no thread left: the
  /// sink then writes what it can without waiting in the threads that call `write`.
  bool start() noexcept;
  /// Reopens the file at its path before the next line, for log rotation. A sink without a path ignores it.
  void reopen() noexcept;
  /// Waits at most `patience` until all lines that were written before are in the file or dropped.
  bool flush(std::chrono::nanoseconds patience) noexcept;
  /// Refuses further lines and ends the writer, which has `patience` to write what is queued; the rest is dropped.
  /// Returns whether nothing was left.
  bool close(std::chrono::nanoseconds patience) noexcept;

  /// Lines that were handed to the operating system.
  [[nodiscard]] std::uint64_t written() const noexcept;
  /// Lines that were lost: they found the queue full or closed, or the file did not take them.
  [[nodiscard]] std::uint64_t dropped() const noexcept;

private:
  // Of this process: after a fork, another one than before.
  detail::sink_process& here() const noexcept;

  std::shared_ptr<options const> const options_;
  mutable detail::atomic<detail::sink_process*> current_;
};

// --- implementation ---------------------------------------------------------

inline async_sink::async_sink(int descriptor, options chosen)
    : options_(std::make_shared<options const>(std::move(chosen))),
      current_(new detail::sink_process(options_, descriptor)) {}

inline async_sink::async_sink(std::string path, options chosen)
    : options_(std::make_shared<options const>(std::move(chosen))),
      current_(new detail::sink_process(options_, std::move(path))) {}

inline async_sink::~async_sink() {
  // acquire: pairs with the release in here.
  detail::sink_process* const mine = current_.load(std::memory_order_acquire);
  // In a child, the parent's writer would be joined; what there is of it stays.
  if (mine->forked()) return;
  mine->close(detail::clock::now() + std::chrono::seconds(1));
  mine->drop();
}

inline detail::sink_process& async_sink::here() const noexcept {
  detail::sink_process* seen = current_.load(std::memory_order_acquire);  // pairs with the exchange
  while (seen->forked()) [[unlikely]] {
    // The parent's is left alone, its locks and its queue are as its threads happened to have them.
    try {
      auto fresh = std::make_unique<detail::sink_process>(
          options_, detail::line_writer::after_fork{}, seen->writer());
      if (current_.compare_exchange_strong(seen, fresh.get(), std::memory_order_acq_rel)) {
        return *fresh.release();
      }
    } catch (std::exception const&) {
      return *seen;  // without memory or descriptors for one: what is written here is lost
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
