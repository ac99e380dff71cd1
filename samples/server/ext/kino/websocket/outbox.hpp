// SPDX-License-Identifier: MIT
//
// What is published here and has to reach other processes.

#pragma once

#include <kino/condition.hpp>
#include <kino/stats.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace kino::server {

/// A message on its way to other processes.
struct outgoing_message {
  std::string channel;
  std::string data;
  bool text = false;
};

/// An outbox takes what publishers in any Ractor publish to the one thread that hands it to an engine. It is bounded:
/// what it has no room for is dropped and counted, so a publisher never waits. While it is closed, it takes nothing.
///
/// All messages leave in the order in which they came, whatever threads they came from: events of one client, which publish one
/// after the other, run in several. A kino::channel orders only those of each thread.
///
/// Threads: any.
/// Blocks:  never, except for a leaf mutex.
/// Forks:   a child that opens it has its own.
class outbox {
public:
  static constexpr std::size_t most_messages = 4096;
  static constexpr std::size_t most_bytes = std::size_t{16} << 20;

  /// The messages of one time of being open.
  class queue {
  public:
    /// Notified when `ready` may have become true.
    [[nodiscard]] kino::condition& changed() { return changed_; }
    /// Whether there is a message, or there will be none.
    [[nodiscard]] bool ready() const noexcept;
    /// Takes the first message; none: there is none, and after `ready` none follows.
    [[nodiscard]] std::optional<outgoing_message> take() noexcept;

  private:
    friend class outbox;
    // False: there is no room. Throws std::bad_alloc.
    [[nodiscard]] bool add(std::string_view channel, std::string_view data, bool text);
    void close() noexcept;

    mutable std::mutex mutex_;
    std::deque<outgoing_message> messages_;
    std::size_t bytes_ = 0;
    bool closed_ = false;
    kino::condition changed_;
  };

  /// That of this process. Never destroyed: threads may publish until the end.
  [[nodiscard]] static outbox& of_process() {
    static auto& only = *new outbox;
    return only;
  }

  /// Begins to take messages. Returns their queue, which stays valid; one that was open is closed. Throws std::bad_alloc.
  std::shared_ptr<queue> open();
  /// Takes no more; the thread that takes the messages gets those that are there, and then learns of it.
  void close() noexcept;
  /// The queue of the last `open`; null: none.
  [[nodiscard]] std::shared_ptr<queue> current() const noexcept;

  /// Adds a message, or drops it.
  void add(std::string_view channel, std::string_view data, bool text) noexcept;
  /// The number of messages that were dropped.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.total(); }

private:
  std::atomic<bool> open_{false};  // relaxed: a hint that saves the lock; the queue itself is behind it
  mutable std::mutex mutex_;
  std::shared_ptr<queue> queue_;
  kino::counter dropped_;
};

}  // namespace kino::server
