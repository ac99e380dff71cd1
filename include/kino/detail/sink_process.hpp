// SPDX-License-Identifier: MIT
//
// The state of an async_sink in one process: its queue, its writer thread, its statistics.

#pragma once

#include <kino/detail/line_output.hpp>
#include <kino/detail/line_queue.hpp>
#include <kino/detail/line_writer.hpp>
#include <kino/detail/sink_writer.hpp>
#include <kino/fork_mark.hpp>
#include <kino/native_thread.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string_view>
#include <utility>

#ifdef __linux__
#include <sys/prctl.h>
#endif

KINO_NAMESPACE_BEGIN
namespace detail {

/// A sink_process implements async_sink in the process that created it.
///
/// Threads: any. One at a time is the writer, which has set `writing_`: the sink's own thread or, while that cannot
///          be created, the first caller.
/// Lifetime: until its sink has dropped it and the thread has ended; a thread stuck in the kernel is detached.
/// Fork:     a child's sink creates another one and does not touch its parent's.
class sink_process {
public:
  sink_process(std::shared_ptr<sink_options const> chosen, std::unique_ptr<line_output> output)
      : options_(std::move(chosen)), queue_(options_->capacity), writer_(*options_, queue_, std::move(output)) {}

  [[nodiscard]] bool forked() const noexcept { return born_.forked(); }
  [[nodiscard]] line_output const& output() const noexcept { return writer_.output(); }

  bool write(std::string_view line) noexcept;
  bool start() noexcept;
  void reopen() noexcept { writer_.reopen(); }
  bool flush(deadline until) noexcept;
  bool close(deadline until) noexcept;
  [[nodiscard]] std::uint64_t written() const noexcept { return written_.load(relaxed); }
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_.load(relaxed); }

  void hold() noexcept { owners_.fetch_add(1, relaxed); }
  void drop() noexcept {
    // acq_rel: the last owner sees the effects of the other.
    if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

private:
  static constexpr auto relaxed = std::memory_order_relaxed;  // pairs with nothing: statistics
  // After a block, the writer waits for this time before it looks for more lines, so busy callers need not wake it, and it
  // writes many lines at once. `flush` and `close` end the wait.
  static constexpr std::chrono::milliseconds linger{10};
  // `close` detaches a writer thread that blocks in write(2) in spite of poll(2) after this time.
  static constexpr std::chrono::milliseconds last_patience{100};

  void run() noexcept;
  void write_here(deadline until) noexcept;
  bool write_block() noexcept;
  deadline report_dropped(sink_writer::urgency how) noexcept;
  void doze() noexcept;
  void settle(std::uint64_t lines, bool good) noexcept;
  void wake_flushers() noexcept;
  // seq_cst, both: pair with `settle` and `report_dropped`, which check for flushers afterwards.
  [[nodiscard]] bool settled(std::uint64_t ticket) const noexcept {
    return settled_.load(std::memory_order_seq_cst) >= ticket;
  }
  [[nodiscard]] bool noted(std::uint64_t dropped) const noexcept {
    return noted_.load(std::memory_order_seq_cst) >= dropped;
  }
  template <class Done>
  bool await(deadline until, Done done) noexcept;

  std::shared_ptr<sink_options const> const options_;
  fork_mark const born_;
  line_queue queue_;
  atomic<int> owners_{1};

  sink_writer writer_;  // used by the thread that has set `writing_`

  atomic<bool> started_{false};
  atomic<bool> starting_{false};
  atomic<bool> writing_{false};
  atomic<bool> closed_{false};
  atomic<std::uint64_t> settled_{0};
  atomic<std::uint64_t> written_{0};
  atomic<std::uint64_t> dropped_{0};
  atomic<std::uint64_t> noted_{0};  // dropped lines that were reported, or whose report failed
  atomic<std::uint32_t> flushers_{0};

  mutex mutex_;
  condition_variable settled_more_;
  bool finished_ = false;  // guarded by mutex_: the thread no longer writes
  thread thread_;
};

// --- implementation ---------------------------------------------------------

inline bool sink_process::write(std::string_view line) noexcept {
  if (closed_.load(std::memory_order_acquire)) {  // pairs with close
    dropped_.fetch_add(1, relaxed);
    return false;
  }
  auto const outcome = queue_.push(line);
  if (outcome == line_queue::push_outcome::full) dropped_.fetch_add(1, relaxed);
  if (outcome == line_queue::push_outcome::consumer_sleeps) writer_.notify();
  if (!start()) write_here(clock::now());
  return outcome != line_queue::push_outcome::full;
}

inline bool sink_process::start() noexcept {
  if (started_.load(std::memory_order_acquire)) return true;  // pairs with the store below
  // A caller of `write` does not wait while another caller starts the thread, which will write the line.
  // acq_rel: like a try_lock.
  if (starting_.exchange(true, std::memory_order_acq_rel)) return true;
  {
    lock guard(mutex_);
    if (!thread_.joinable() && !finished_) {
      hold();
      try {
        thread_ = start_thread([this] { run(); });
      } catch (std::exception const&) {
        owners_.fetch_sub(1, std::memory_order_acq_rel);  // as in drop; the sink is still an owner
      }
    }
    if (thread_.joinable() || finished_) started_.store(true, std::memory_order_release);
  }
  starting_.store(false, std::memory_order_release);
  return started_.load(std::memory_order_acquire);
}

inline void sink_process::run() noexcept {
#ifdef __linux__
  ::prctl(PR_SET_NAME, "kino log");  // else it has the name of the first caller
#endif
  // A caller that began before there was a thread may still be writing; it ends soon.
  while (writing_.exchange(true, std::memory_order_acq_rel)) std::this_thread::yield();
  for (;;) {
    if (write_block()) continue;
    if (closed_.load(std::memory_order_acquire)) break;
    doze();
  }
  static_cast<void>(report_dropped(sink_writer::urgency::now));
  {
    lock guard(mutex_);
    finished_ = true;
    settled_more_.notify_all();
  }
  drop();
}

// Writes queued lines in the calling thread, unless another thread does.
inline void sink_process::write_here(deadline until) noexcept {
  sigpipe_guard const quiet;
  std::size_t next = 0;
  // acq_rel: the writer's data passes from the previous writing thread to the next.
  while (!writing_.exchange(true, std::memory_order_acq_rel)) {
    writer_.limit(until);
    while (write_block()) {
    }
    writer_.limit(deadline());
    bool const more = queue_.peek(next) && (!until || clock::now() < *until);
    writing_.store(false, std::memory_order_release);
    if (!more) return;
  }
}

// Returns false if there is nothing to write.
inline bool sink_process::write_block() noexcept {
  auto const done = writer_.write_block();
  if (done.lines == 0) return false;
  settle(done.lines, done.good);
  if (done.good) static_cast<void>(report_dropped(sink_writer::urgency::busy));
  return true;
}

inline void sink_process::doze() noexcept {
  std::size_t size = 0;
  if (writer_.await_notice(clock::now() + linger) || queue_.peek(size)) return;
  bool const awaited = flushers_.load(std::memory_order_seq_cst) != 0;  // pairs with flush
  deadline const again = report_dropped(awaited ? sink_writer::urgency::now : sink_writer::urgency::idle);
  if (!queue_.fall_asleep()) return;
  writer_.await_notice(again);
  queue_.wake_up();
}

inline deadline sink_process::report_dropped(sink_writer::urgency how) noexcept {
  std::uint64_t const total = dropped();
  deadline const again = writer_.report(total, how);
  if (!again && !noted(total)) {
    noted_.store(total, std::memory_order_seq_cst);
    wake_flushers();
  }
  return again;
}

inline void sink_process::settle(std::uint64_t lines, bool good) noexcept {
  if (good) {
    written_.fetch_add(lines, relaxed);
  } else if (lines != 0) {
    dropped_.fetch_add(lines, relaxed);
  }
  settled_.fetch_add(lines, std::memory_order_seq_cst);
  wake_flushers();
}

// seq_cst, as what precedes it: a flusher announces itself, then checks `settled_` and `noted_`.
inline void sink_process::wake_flushers() noexcept {
  if (flushers_.load(std::memory_order_seq_cst) == 0) return;
  lock guard(mutex_);
  settled_more_.notify_all();
}

inline bool sink_process::flush(deadline until) noexcept {
  std::uint64_t const ticket = queue_.pushed();
  if (settled(ticket) && noted(dropped())) return true;
  if (forked()) return false;  // a child without memory for its own state, see async_sink::here
  if (!start()) {
    write_here(until);
    return settled(ticket);
  }
  flushers_.fetch_add(1, std::memory_order_seq_cst);
  writer_.notify();  // it may wait for more lines
  bool good = await(until, [&] { return settled(ticket); });
  if (std::uint64_t const lost = dropped(); good && !noted(lost)) {
    writer_.notify();  // it may sleep
    good = await(until, [&] { return noted(lost); });
  }
  flushers_.fetch_sub(1, std::memory_order_seq_cst);
  return good;
}

// Waits at most until `until` for the writer to make `done()` true; returns whether it did.
template <class Done>
bool sink_process::await(deadline until, Done done) noexcept {
  lock guard(mutex_);
  while (!done() && !finished_) {
    if (!until) {
      settled_more_.wait(guard);
    } else if (settled_more_.wait_until(guard, *until) == std::cv_status::timeout) {
      break;
    }
  }
  return done();
}

inline bool sink_process::close(deadline until) noexcept {
  if (forked()) return false;  // as in flush
  std::uint64_t const before = dropped();
  closed_.store(true, std::memory_order_release);  // lines queued so far are still written
  writer_.limit(until);
  thread ended;
  bool finished = false;
  {
    lock guard(mutex_);
    if (!thread_.joinable()) finished_ = true;  // no thread is started after this
    deadline const last = until ? deadline(*until + last_patience) : until;
    writer_.notify();
    while (!finished_) {
      if (!last) {
        settled_more_.wait(guard);
      } else if (settled_more_.wait_until(guard, *last) == std::cv_status::timeout) {
        break;
      }
    }
    finished = finished_;
    ended = std::move(thread_);
  }
  if (!ended.joinable()) {
    write_here(until);
  } else if (finished) {
    ended.join();
  } else {
    ended.detach();  // stuck in the kernel; it shares ownership of this object
  }
  return finished && dropped() == before;
}

}  // namespace detail
KINO_NAMESPACE_END
