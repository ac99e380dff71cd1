// SPDX-License-Identifier: MIT
//
// A bounded queue of byte strings with many producers and one consumer, in one total order.

#pragma once

#include <kino/detail/atomic.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A line_queue carries copies of lines to one consumer, which may sleep.
///
/// It is Vyukov's intrusive multi-producer single-consumer list, not moodycamel's queue, because a
/// log is read in order: a line that was pushed before another is popped before it, regardless of
/// the threads that pushed them.
///
/// No wake-up is lost. A producer links its line, then checks whether the consumer sleeps; the
/// consumer announces its sleep, then checks for a line. Both are seq_cst, so one of the two sees
/// the other.
///
/// Threads: `push`: any; `pop`, `fall_asleep` and `wake_up`: the consumer.
/// Blocks:  never. A producer that is descheduled within `push` delays lines pushed after its own,
///          but no other producer.
/// Memory:  at most `capacity` bytes, bookkeeping included; of lines that were popped, up to an eighth of it counts until
///          `peek` finds no line.
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

  /// Copies `bytes`. On `consumer_sleeps` the caller, and only this caller, must wake the consumer. Also returns
  /// `full` if there is no memory.
  push_outcome push(std::string_view bytes) noexcept {
    std::size_t const size = sizeof(line) + bytes.size();
    // relaxed: a budget; the links order the lines.
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
    // Counted before the line can be popped, so the number of popped lines never exceeds the count.
    // relaxed: the exchange releases it.
    pushed_.fetch_add(1, std::memory_order_relaxed);
    // acq_rel: the position in the total order. We see the previous line initialised; the next
    // producer sees ours.
    line* const before = tail_.exchange(fresh, std::memory_order_acq_rel);
    // seq_cst: publishes the line, then checks `asleep_`; see the consumer's half below.
    before->next.store(fresh, std::memory_order_seq_cst);
    if (!asleep_.load(std::memory_order_seq_cst)) return push_outcome::queued;
    // relaxed: it only decides which producer wakes the consumer.
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

  /// The size of the line that `pop` would return; false if there is none.
  bool peek(std::size_t& size) noexcept {
    line* const next = head_->next.load(std::memory_order_acquire);  // pairs with push
    if (!next || freed_ > capacity_ / 8) give_back();
    if (next) size = next->size;
    return next != nullptr;
  }

  /// Announces the consumer's sleep. Returns false if there is a line: the consumer must not sleep.
  bool fall_asleep() noexcept {
    asleep_.store(true, std::memory_order_seq_cst);
    if (!head_->next.load(std::memory_order_seq_cst)) return true;
    wake_up();
    return false;
  }
  /// Records that the consumer is awake, for any reason.
  void wake_up() noexcept {
    asleep_.store(false, std::memory_order_relaxed);  // a pop follows, which checks for lines
  }

  /// Number of lines pushed so far, including every `push` that happened before this call.
  [[nodiscard]] std::uint64_t pushed() const noexcept {
    return pushed_.load(std::memory_order_relaxed);  // sees everything that happened before
  }

private:
  struct line {
    atomic<line*> next{nullptr};
    std::size_t size = 0;
    char* bytes() { return reinterpret_cast<char*>(this + 1); }
  };

  // The last popped line remains as the head whose `next` is read.
  void destroy(line* gone) noexcept {
    if (gone == &first_) return;
    freed_ += sizeof(line) + gone->size;
    gone->~line();
    ::operator delete(gone);
  }
  // Not for each line: producers would wait for the cache line of `held_` each time.
  void give_back() noexcept {
    if (freed_ == 0) return;
    held_.fetch_sub(freed_, std::memory_order_relaxed);  // as in push
    freed_ = 0;
  }

  std::size_t const capacity_;
  line first_;
  line* head_ = &first_;   // the consumer's own, as is ...
  std::size_t freed_ = 0;  // ... this: bytes that `held_` still counts
  alignas(cache_line) atomic<line*> tail_{&first_};
  atomic<std::size_t> held_{0};
  atomic<std::uint64_t> pushed_{0};
  alignas(cache_line) atomic<bool> asleep_{false};
};

}  // namespace detail
KINO_NAMESPACE_END
