// SPDX-License-Identifier: MIT
//
// A bounded queue of byte strings from many threads to one, in one total order.

#pragma once

#include <kino/detail/atomic.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A line_queue carries copies of lines to one consumer, which may sleep meanwhile.
///
/// It is Vyukov's intrusive list of many producers and one consumer, and not moodycamel's queue,
/// because a log is read in order: a line that was pushed before another one is popped before it,
/// whichever threads pushed them.
///
/// No wake-up is lost. A producer links its line, then looks whether the consumer sleeps; the
/// consumer announces its sleep, then looks for a line. Both are seq_cst, so one of the two sees
/// the other.
///
/// Threads: `push` by any thread; `pop`, `fall_asleep` and `wake_up` by the consumer.
/// Blocks:  never. A producer that is descheduled within `push` delays what was pushed after it, but no
///          other producer.
/// Memory:  at most `capacity` bytes, bookkeeping included.
/// Fork:    a child must not use its parent's queue: a line may be linked halfway.
class line_queue {
public:
  enum class [[nodiscard]] push_outcome { queued, consumer_sleeps, full };

  explicit line_queue(std::size_t capacity) : capacity_(capacity) {}
  line_queue(line_queue const&) = delete;
  line_queue& operator=(line_queue const&) = delete;
  ~line_queue() {
    std::string_view rest;
    while (pop(rest)) {
    }
    destroy(head_);
  }

  /// Copies `bytes`. On `consumer_sleeps` the caller, and only this caller, must wake the consumer. `full` also
  /// if memory ran out.
  push_outcome push(std::string_view bytes) noexcept {
    std::size_t const size = sizeof(line) + bytes.size();
    // relaxed: a budget; what it guards is ordered by the links.
    if (held_.fetch_add(size, std::memory_order_relaxed) + size > capacity_) {
      held_.fetch_sub(size, std::memory_order_relaxed);
      return push_outcome::full;
    }
    void* const memory = ::operator new(size, std::nothrow);
    if (!memory) {
      held_.fetch_sub(size, std::memory_order_relaxed);
      return push_outcome::full;
    }
    line* const fresh = new (memory) line;
    fresh->size = bytes.size();
    if (!bytes.empty()) std::memcpy(fresh->bytes(), bytes.data(), bytes.size());
    // Before the line can be popped, so that a count of popped lines never exceeds it. relaxed: the exchange releases it.
    pushed_.fetch_add(1, std::memory_order_relaxed);
    // acq_rel: the place in the order. The line before is initialised for us, ours for the next.
    line* const before = tail_.exchange(fresh, std::memory_order_acq_rel);
    // seq_cst: publishes the line, then looks at `asleep_`; see the consumer's half below.
    before->next.store(fresh, std::memory_order_seq_cst);
    if (!asleep_.load(std::memory_order_seq_cst)) return push_outcome::queued;
    // relaxed: only decides which of several producers wakes.
    return asleep_.exchange(false, std::memory_order_relaxed) ? push_outcome::consumer_sleeps
                                                              : push_outcome::queued;
  }

  /// The next line, valid until the next `pop`; false if there is none.
  bool pop(std::string_view& out) noexcept {
    line* const next = head_->next.load(std::memory_order_acquire);  // pairs with push
    if (!next) return false;
    destroy(head_);
    head_ = next;
    out = {next->bytes(), next->size};
    return true;
  }

  /// The size of the line that `pop` would give; false if there is none.
  bool peek(std::size_t& size) const noexcept {
    line* const next = head_->next.load(std::memory_order_acquire);  // pairs with push
    if (next) size = next->size;
    return next != nullptr;
  }

  /// Announces the consumer's sleep. False if there is a line, and no sleep then.
  bool fall_asleep() noexcept {
    asleep_.store(true, std::memory_order_seq_cst);
    if (!head_->next.load(std::memory_order_seq_cst)) return true;
    wake_up();
    return false;
  }
  /// The consumer is awake, whatever woke it.
  void wake_up() noexcept {
    asleep_.store(false, std::memory_order_relaxed);  // what follows is a pop, which looks anyway
  }

  /// How many lines were pushed so far; every `push` that has returned to this thread is counted.
  [[nodiscard]] std::uint64_t pushed() const noexcept {
    return pushed_.load(std::memory_order_relaxed);  // what happened before is seen anyway
  }

private:
  struct line {
    atomic<line*> next{nullptr};
    std::size_t size = 0;
    char* bytes() { return reinterpret_cast<char*>(this + 1); }
  };

  // The last popped line stays as the one whose `next` is awaited.
  void destroy(line* gone) noexcept {
    if (gone == &first_) return;
    held_.fetch_sub(sizeof(line) + gone->size, std::memory_order_relaxed);  // as in push
    gone->~line();
    ::operator delete(gone);
  }

  std::size_t const capacity_;
  line first_;
  line* head_ = &first_;  // the consumer's own
  alignas(cache_line) atomic<line*> tail_{&first_};
  atomic<std::size_t> held_{0};
  atomic<std::uint64_t> pushed_{0};
  alignas(cache_line) atomic<bool> asleep_{false};
};

}  // namespace detail
KINO_NAMESPACE_END
