// SPDX-License-Identifier: MIT
//
// What is kept for each Ruby thread: the dispatchers that it has joined, and the permit that it works under.

#pragma once

#include <kino/detail/ruby/headers.hpp>
#include <kino/detail/ruby/pool_member.hpp>
#include <kino/fork_mark.hpp>
#include <kino/gvl.hpp>
#include <kino/ruby_features.hpp>
#include <kino/start_thread.hpp>

#include <atomic>
#include <cstdint>
#include <new>
#include <system_error>
#include <utility>

KINO_NAMESPACE_BEGIN
namespace detail {

/// The memberships of one Ruby thread. They end with the thread at the latest: a thread that ends without `leave` must
/// not keep its slot or leave its client waiting.
///
/// The end of a Ruby thread is the end of its native thread where Ruby pins threads (3.4). On 3.2 and 3.3, Ruby
/// reports it (thread_events.hpp). On 3.1, the native thread survives for some seconds and may serve the next Ruby
/// thread, which then ends the memberships when it joins.
///
/// Threads: the thread itself.
class memberships {
public:
  memberships() = default;
  memberships(memberships const&) = delete;
  ~memberships() {
    forget_parent();
    end_all(std::exchange(first_, nullptr));
  }

  void add(pool_member& member) noexcept {
    forget_parent();
    member.next_ = std::exchange(first_, &member);
  }
  void remove(pool_member& member) noexcept {
    forget_parent();
    for (pool_member** at = &first_; *at; at = &(*at)->next_) {
      if (*at != &member) continue;
      *at = std::exchange(member.next_, nullptr);
      return;
    }
  }
  /// Whether the thread is a member of `pool`.
  bool contain(worker_pool const& pool) noexcept {
    forget_parent();
    for (pool_member const* each = first_; each; each = each->next_) {
      if (each->of_ == &pool) return true;
    }
    return false;
  }
  /// Ends the memberships of Ruby threads that ran on this native thread before `current`, which calls it.
  void end_former(VALUE current) {
    forget_parent();
    if (!first_) return;
    bool const may_be_own = is_marked();
    for (pool_member** at = &first_; *at;) {
      pool_member& member = **at;
      if (may_be_own && member.thread_.load(std::memory_order_relaxed) == current) {
        at = &member.next_;
      } else {
        *at = std::exchange(member.next_, nullptr);
        end(member);
      }
    }
  }
  /// Ends all memberships in a native thread of their own, because the caller has locks of Ruby's: what ends with
  /// them (requests, and perhaps the dispatcher's queue) calls code of its users.
  void end_elsewhere() noexcept {
    forget_parent();
    pool_member* const ended = std::exchange(first_, nullptr);
    if (!ended) return;
    // From now on, Ruby may use the address of this thread for another one.
    for (pool_member* each = ended; each; each = each->next_) {
      each->thread_.store(0, std::memory_order_relaxed);
    }
    try {
      start_thread([ended] { end_all(ended); }).detach();
    } catch (std::system_error const&) {  // too many threads
      end_all(ended);
    } catch (std::bad_alloc const&) {
      end_all(ended);
    }
  }

  /// Called by a thread that joins, with the GVL held. May raise.
  static void mark_thread() {
    if constexpr (ends_unnoticed) {
      rb_funcall(rb_thread_current(), rb_intern("thread_variable_set"), 2, mark(), Qtrue);
    }
  }

private:
  // Where Ruby reports no end of a thread (3.1), the next one on its native thread may even get its address: what tells
  // them apart is a variable of the Ruby thread. It is not a fiber's.
  static constexpr bool ends_unnoticed = !ruby_has_thread_events;
  static VALUE mark() { return ID2SYM(rb_intern("kino_worker")); }
  static bool is_marked() {
    if constexpr (!ends_unnoticed) return true;
    bool marked = false;
    protect_unchecked([&] {
      marked = RTEST(rb_funcall(rb_thread_current(), rb_intern("thread_variable_get"), 1, mark()));
    });
    return marked;
  }

  static void end_all(pool_member* first) noexcept {
    while (first) {
      pool_member& member = *first;
      first = std::exchange(member.next_, nullptr);  // before its slot can be taken again
      end(member);
    }
  }
  static void end(pool_member& member) noexcept;  // worker_pool.hpp
  // In a forked child, the parent's memberships are meaningless and may be dangling.
  void forget_parent() noexcept {
    // relaxed: only a child's first thread changes the count.
    std::uint32_t const now = fork_count().load(std::memory_order_relaxed);
    if (std::exchange(forks_, now) != now) first_ = nullptr;
  }

  pool_member* first_ = nullptr;
  std::uint32_t forks_ = fork_count().load(std::memory_order_relaxed);
};

/// What belongs to a Ruby thread that changes native threads. It is created when the thread joins for the first time,
/// and destroyed when the thread ends.
struct thread_record {
  thread_permit permit;
  memberships joined;
};

// The key of the record in Ruby's storage.
inline int& record_key() {
  static int key = -1;
  return key;
}
inline thread_record* record_of(VALUE thread) noexcept {
  using namespace kino_newer_ruby;
  return static_cast<thread_record*>(rb_internal_thread_specific_get(thread, record_key()));
}
// The record of the current Ruby thread. Throws std::bad_alloc when it is created.
inline thread_record& own_record() {
  VALUE const thread = rb_thread_current();
  if (thread_record* const known = record_of(thread)) return *known;
  using namespace kino_newer_ruby;
  auto* const made = new thread_record();
  rb_internal_thread_specific_set(thread, record_key(), static_cast<void*>(made));
  return *made;
}

/// The permit of the current thread.
inline thread_permit& permit_of_this_thread() {
  if constexpr (threads_change_native_threads) {
    return own_record().permit;
  } else {
    static thread_local thread_permit mine;
    return mine;
  }
}

/// The memberships of the current thread. The first call in a thread may throw std::bad_alloc.
inline memberships& memberships_of_this_thread() {
  if constexpr (threads_change_native_threads) {
    return own_record().joined;
  } else {
    static thread_local memberships mine;
    return mine;
  }
}

}  // namespace detail
KINO_NAMESPACE_END
