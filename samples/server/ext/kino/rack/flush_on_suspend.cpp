// SPDX-License-Identifier: MIT

#include "rack/flush_on_suspend.hpp"

#include <kino/fork_mark.hpp>
#include <kino/ruby_features.hpp>

#include <atomic>
#include <utility>

namespace kino::server::flush_on_suspend {

#ifdef RUBY_INTERNAL_THREAD_EVENT_SUSPENDED

namespace {

// Set by `enable`. Without the hook, nothing may be recorded, because nothing would clear it.
std::atomic<kino::fork_mark const*> enabled_since{nullptr};

// Kept per native thread, although it concerns a Ruby thread: between a write and the next
// suspension, which clears it, a Ruby thread does not change its native thread.
thread_local exchange* written = nullptr;

// Not inlined: a thread-local's address must not be kept across a call into Ruby.
[[gnu::noinline]] exchange* swap_written(exchange* with) noexcept {
  return std::exchange(written, with);
}

// Ruby holds locks of its scheduler: flushing takes leaf locks and makes one system call, which
// does not wait.
void on_suspended(rb_event_flag_t, rb_internal_thread_event_data_t const*, void*) {
  exchange* const to = swap_written(nullptr);
  if (!to) return;
  // A child that was forked in a handler has the socket, but its parent sends these bytes.
  if (!enabled()) return;
  to->flush();
  to->drop_weak();
}

}  // namespace

bool enabled() noexcept {
  auto const* const since = enabled_since.load(std::memory_order_acquire);  // pairs with enable
  return since && !since->forked();
}

void enable() {
  // Each process that forks and then starts a server has its own.
  if (!enabled()) enabled_since.store(new kino::fork_mark, std::memory_order_release);
  static bool const installed = [] {
    rb_internal_thread_add_event_hook(&on_suspended, RUBY_INTERNAL_THREAD_EVENT_SUSPENDED,
                                      nullptr);
    return true;
  }();
  static_cast<void>(installed);
}

void note(exchange& to) noexcept {
  if (!enabled()) return;
  exchange* const before = swap_written(&to);
  if (before == &to) return;  // The usual case: its reference has been counted.
  to.add_weak();
  if (!before) return;
  if (!before->flushed_with(to)) before->flush();
  before->drop_weak();
}

void forget() noexcept {
  if (exchange* const before = swap_written(nullptr)) before->drop_weak();
}

#else

void enable() {}
bool enabled() noexcept { return false; }
void note(exchange&) noexcept {}
void forget() noexcept {}

#endif

}  // namespace kino::server::flush_on_suspend
