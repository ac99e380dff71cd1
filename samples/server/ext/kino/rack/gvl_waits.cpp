// SPDX-License-Identifier: MIT

#include "rack/gvl_waits.hpp"

#include "base/log.hpp"

#include <kino/extension.hpp>
#include <kino/ruby_features.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace kino::server::gvl_waits {

#ifdef RUBY_INTERNAL_THREAD_EVENT_READY

namespace {

// Several, so that threads rarely write to the same memory.
constexpr std::size_t copies = 8;
struct alignas(64) copy {  // a cache line
  kino::latency_histogram waits;
};
copy measured[copies];
std::atomic<bool> measuring{false};

// Not inlined: a thread-local's address must not be kept across a call into Ruby.
[[gnu::noinline]] copy& mine() noexcept {
  static std::atomic<std::size_t> numbers{0};
  static thread_local std::size_t const number = numbers.fetch_add(1, std::memory_order_relaxed);  // only its own values matter
  return measured[number % copies];
}

// Nanoseconds, never 0. Where they have 32 bits, waits of up to four seconds are exact.
std::uintptr_t now() noexcept {
  return static_cast<std::uintptr_t>(std::chrono::steady_clock::now().time_since_epoch().count()) | 1U;
}

[[gnu::noinline]] std::uintptr_t swap_of_native_thread(std::uintptr_t with) noexcept {
  static thread_local std::uintptr_t since = 0;
  return std::exchange(since, with);
}

int key = -1;

// Templates, because 3.2 does not declare the functions, and its events do not name the thread.
template <class... None>
int make_key(None... none) {
  return rb_internal_thread_specific_key_create(none...);
}

// Replaces the moment since which the thread of `data` waits; 0: it does not. Where Ruby has storage for it, another thread may
// report that this one can go on; elsewhere, each reports it for itself.
template <class Data>
std::uintptr_t swap_since(Data const* data, std::uintptr_t with) noexcept {
  if constexpr (kino::ruby_has_thread_storage) {
    void* const before = rb_internal_thread_specific_get(data->thread, key);
    rb_internal_thread_specific_set(data->thread, key, reinterpret_cast<void*>(with));
    return reinterpret_cast<std::uintptr_t>(before);
  } else {
    return swap_of_native_thread(with);
  }
}

// Ruby calls it with locks of its scheduler held.
void on_thread_event(rb_event_flag_t event, rb_internal_thread_event_data_t const* data, void*) {
  if (event == RUBY_INTERNAL_THREAD_EVENT_READY) {
    static_cast<void>(swap_since(data, now()));
  } else if (std::uintptr_t const since = swap_since(data, 0)) {
    mine().waits.record(std::chrono::nanoseconds(now() - since));
  }
}

// May raise.
VALUE set_key(VALUE) {
  if constexpr (kino::ruby_has_thread_storage) key = make_key();
  return Qnil;
}

bool hear_events() {
  if constexpr (kino::ruby_has_thread_storage) {
    int state = 0;
    rb_protect(&set_key, Qnil, &state);
    if (state != 0) {
      rb_set_errinfo(Qnil);
      log_line("waits for the GVL are not measured: Ruby's threads have no storage left for it, or there are other Ractors already");
      return false;
    }
  }
  rb_internal_thread_add_event_hook(&on_thread_event, RUBY_INTERNAL_THREAD_EVENT_READY | RUBY_INTERNAL_THREAD_EVENT_RESUMED, nullptr);
  return true;
}

}  // namespace

void enable(gvl const&) {
  static bool const heard = hear_events();
  measuring.store(heard, std::memory_order_relaxed);  // a fact to tell, which orders nothing
}

bool add_to(kino::latency_histogram& sums) noexcept {
  if (!measuring.load(std::memory_order_relaxed)) return false;
  for (copy const& each : measured) sums.add(each.waits);
  return true;
}

#else

void enable(gvl const&) {}
bool add_to(kino::latency_histogram&) noexcept { return false; }

#endif

}  // namespace kino::server::gvl_waits
