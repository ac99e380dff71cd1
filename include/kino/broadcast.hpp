// SPDX-License-Identifier: MIT
//
// broadcast<T>: delivers each message to every subscriber; a slow one loses its oldest messages.

#pragma once

#include <kino/channel.hpp>
#include <kino/detail/atomic.hpp>
#include <kino/detail/bounded_store.hpp>
#include <kino/fork_mark.hpp>
#include <kino/registry.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>

KINO_NAMESPACE_BEGIN

template <class T>
class subscriber;

namespace detail {

// The messages that one subscriber has not popped yet, and the number it has missed.
template <class T>
class subscription {
public:
  explicit subscription(std::size_t capacity) : queue(capacity) {}

  // Returns whether the subscription accepted `message`; a closed one does not.
  bool offer(T const& message) {
    T copy(message);  // A failed push leaves it unchanged.
    for (unsigned tries = 0;; ++tries) {
      push_result const result = queue.try_push(std::move(copy));
      if (result != push_result::full) return result == push_result::pushed;
      T oldest;
      if (queue.try_pop(oldest) == pop_result::popped) {
        // relaxed: the push that follows releases it to the pop of the message.
        missed.fetch_add(1, std::memory_order_relaxed);
      } else if (tries >= 64) {
        std::this_thread::yield();  // Publishers in the middle of a push have reserved all places.
      }
    }
  }

  channel<T> queue;
  atomic<std::uint64_t> missed{0};
};

// The state that a broadcast and its subscribers share; either may be destroyed first.
template <class T>
struct broadcast_hub {
  using subscriptions = registry<std::unique_ptr<subscription<T>>>;
  static constexpr std::uint64_t closed = 1;
  static constexpr std::uint64_t one_subscriber = 2;

  subscriptions all;
  atomic<std::uint64_t> state{0};  // "closed" plus two per subscriber
  fork_mark const born;
};

}  // namespace detail

/// A broadcast delivers every message to each of its subscribers, and never waits for one.
///
/// A subscriber receives the messages published after `subscribe` returned, those of one
/// publisher in order. It holds at most `capacity` unpopped messages; when another one arrives,
/// the oldest is dropped and counted (`subscriber::lagged`). With several publishers, it is the
/// oldest message of one of them. A message is copied once per subscriber: use a small T, or a
/// std::shared_ptr<const M>. Publishing takes no lock; subscribers may come and go concurrently.
///
/// T must be copyable, default constructible, nothrow movable and nothrow move-assignable.
///
/// Threads:    any thread, any Ractor, concurrently. The destructor closes.
/// GVL:        never needed. ~T runs in any of the threads: it must not need Ruby.
/// Blocks:     never; `subscribe` and ~subscriber take a leaf mutex. A publisher that finds no
///             room may yield to another one in the middle of its push.
/// Throws:     std::bad_alloc; `publish` also throws what copying T throws, and subscribers not
///             reached by then do not get the message. std::runtime_error in a forked child.
/// Order:      effects before `publish` are visible after the pop of its message.
/// Fork:       neither a broadcast nor a subscriber survives fork; create new ones in the child.
///             There `close` does nothing, and both can be destroyed.
///
/// Example:
///
///     kino::broadcast<int> prices(2);
///     kino::subscriber<int> screen = prices.subscribe();
///     for (int price : {40, 41, 42}) assert(prices.publish(price) == 1);
///     int price = 0;
///     assert(screen.pop(price) == kino::pop_result::popped && price == 41);
///     assert(screen.lagged() == 1);
///     prices.close();
///     assert(screen.pop(price) == kino::pop_result::popped && price == 42);
///     assert(screen.pop(price) == kino::pop_result::closed);
///
template <class T>
class broadcast {
  static_assert(std::is_copy_constructible_v<T>,
                "messages must be copyable: every subscriber gets a copy");

public:
  /// `capacity` applies to each subscriber. Throws std::invalid_argument unless it is between 1
  /// and 2147483647.
  explicit broadcast(std::size_t capacity)
      : capacity_(detail::checked_capacity(capacity)),
        hub_(std::make_shared<hub>()) {}
  broadcast(broadcast const&) = delete;
  broadcast& operator=(broadcast const&) = delete;
  ~broadcast() { close(); }

  /// Delivers `message` to each subscriber; returns how many accepted it, 0 after `close`.
  std::size_t publish(T const& message) {
    hub_->born.expect_same_process("broadcast");
    std::size_t reached = 0;
    hub_->all.for_each([&](std::uint64_t, auto& each) { reached += each->offer(message); });
    return reached;
  }

  /// Adds a subscriber. After `close`, it is closed from the beginning.
  [[nodiscard]] subscriber<T> subscribe();

  /// Closes: subscribers pop their remaining messages, then get `closed`. Idempotent.
  void close() {
    if (hub_->born.forked()) return;
    // acq_rel: pairs with the addition in subscribe. The later of the two sees the other: the walk
    // closes an earlier subscriber, a later one closes itself.
    if (hub_->state.fetch_or(hub::closed, std::memory_order_acq_rel) & hub::closed) return;
    hub_->all.for_each([](std::uint64_t, auto& each) { each->queue.close(); });
  }

  /// Whether `close` was called; false may be stale on return.
  [[nodiscard]] bool closed() const {
    return hub_->state.load(std::memory_order_relaxed) & hub::closed;  // a statistic
  }
  /// Number of subscribers; may be stale on return.
  [[nodiscard]] std::size_t subscriber_count() const {
    return static_cast<std::size_t>(hub_->state.load(std::memory_order_relaxed) /  // a statistic
                                    hub::one_subscriber);
  }

private:
  using hub = detail::broadcast_hub<T>;
  std::size_t const capacity_;
  std::shared_ptr<hub> const hub_;
};

/// A subscriber receives the messages of one broadcast until it is destroyed. It may outlive the
/// broadcast.
///
/// Threads:    any, for the pops and `lagged`; each message is popped once.
/// GVL:        never needed. A thread that holds it uses kino::pop(held, subscriber, out) of
///             wait.hpp instead of `pop` and `pop_for`.
/// Blocks:     `pop` and `pop_for`.
/// Throws:     std::runtime_error in a forked child.
template <class T>
class subscriber {
public:
  /// Moves; the moved-from subscriber may only be destroyed or assigned to.
  subscriber(subscriber&&) noexcept = default;
  /// Ends this subscription and takes over the other's.
  subscriber& operator=(subscriber&& other) noexcept {
    subscriber taken(std::move(other));
    std::swap(hub_, taken.hub_);
    std::swap(id_, taken.id_);
    std::swap(mine_, taken.mine_);
    return *this;
  }
  ~subscriber() {
    // In a forked child, a thread of the parent may hold the registry's mutex.
    if (!hub_ || hub_->born.forked()) return;
    hub_->all.erase(id_);
    // relaxed: a statistic; the closed bit needs no order with it.
    hub_->state.fetch_sub(hub::one_subscriber, std::memory_order_relaxed);
  }

  /// Pops the next message into `out` if there is one.
  pop_result try_pop(T& out) { return queue().try_pop(out); }
  /// Pops the next message into `out`, waiting for one without limit.
  pop_result pop(T& out) { return queue().pop(out); }
  /// Pops the next message into `out`, waiting for one at most `patience`.
  template <class Rep, class Period>
  pop_result pop_for(T& out, std::chrono::duration<Rep, Period> patience) {
    return queue().pop_for(out, patience);
  }
  /// Number of messages missed since the last call. A loss is counted before the message that
  /// caused it can be popped.
  [[nodiscard]] std::uint64_t lagged() {
    return mine().missed.exchange(0, std::memory_order_relaxed);  // pairs with offer
  }

  /// For wait.hpp: the queue of unpopped messages.
  [[nodiscard]] channel<T>& queue() const { return mine().queue; }

private:
  friend broadcast<T>;
  using hub = detail::broadcast_hub<T>;
  detail::subscription<T>& mine() const {
    KINO_ASSERT(mine_, "a subscriber that was moved from is destroyed or assigned to, and nothing else");
    return **mine_;
  }
  explicit subscriber(std::shared_ptr<hub> joined, std::size_t capacity)
      : hub_(std::move(joined)),
        id_(hub_->all.insert(std::make_unique<detail::subscription<T>>(capacity))),
        mine_(hub_->all.find(id_)) {
    // acq_rel: pairs with the closing in broadcast::close.
    if (hub_->state.fetch_add(hub::one_subscriber, std::memory_order_acq_rel) & hub::closed) {
      queue().close();
    }
  }

  std::shared_ptr<hub> hub_;  // declared before the pin, which is released first
  std::uint64_t id_;
  typename hub::subscriptions::pin mine_;
};

template <class T>
subscriber<T> broadcast<T>::subscribe() {
  hub_->born.expect_same_process("broadcast");
  return subscriber<T>(hub_, capacity_);
}

KINO_NAMESPACE_END
