// SPDX-License-Identifier: MIT
//
// mailbox: the native half of an actor, which all Ractors and threads share.

#pragma once

#include "message.hpp"
#include "run_queue.hpp"

#include <kino/dispatch.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

/// What one actor must be told when another one ends: a monitor, or one of the two halves of a link.
struct relation {
  std::shared_ptr<mailbox> told{};  // the actor that is told
  std::unique_ptr<message> news{};  // allocated in advance: an end must not fail
  bool link = false;
};

/// Relations by the number of the monitor or the link; both halves of a link have its number. To move one from one map to
/// another allocates nothing.
using relation_map = std::map<std::uint64_t, relation>;

enum class delivery { delivered, full, dead };

/// A mailbox receives an actor's messages, and knows whether the actor is alive and which actors must be told of its end.
///
/// Messages are taken in the order of their arrival. What the runtime sends (the end of a monitored actor, a request to
/// stop) goes ahead of all others and is never refused. Signals, which end an actor, are apart.
///
/// Locks: one mutex for all relations; while it is held, the mutex of a mailbox may be acquired. A thread that holds one of
///        them calls no Ruby code and allocates nothing, so a thread with the GVL may wait for it.
/// Fork:  an actor belongs to its process. In a child, a message to it is refused with std::runtime_error.
class mailbox : public std::enable_shared_from_this<mailbox> {
public:
  mailbox(std::string label, std::size_t capacity, std::shared_ptr<run_queue> home)
      : label_(std::move(label)), capacity_(capacity), home_(std::move(home)) {
    if (!home_) spot_ = std::make_unique<kino::parker>();
  }

  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] std::string const& label() const noexcept { return label_; }
  [[nodiscard]] bool dead() const noexcept { return dead_.load(std::memory_order_acquire); }  // pairs with finish
  /// Whether the actor has begun to end: what has failed in it may still be cleaned up, and calls that it drops end with it.
  [[nodiscard]] bool ending() const noexcept { return ending_; }
  /// Why it has ended; only if it is dead.
  [[nodiscard]] kino::shareable const& reason() const noexcept { return reason_; }
  /// Number of messages that wait.
  [[nodiscard]] std::size_t size() noexcept;
  /// Number of messages that have arrived so far.
  [[nodiscard]] std::uint64_t arrived() noexcept;

  // --- for any thread ---

  /// Adds a message, which is moved from only if it is delivered.
  delivery push(std::unique_ptr<message>& added);
  /// Adds a message of the runtime: a signal, or one that goes ahead of others. Returns false if the actor is dead; then
  /// the message is left with the caller.
  bool push_ahead(std::unique_ptr<message>& added) noexcept;
  /// Wakes `sender` when the mailbox is no longer full, or dead. Returns false if it is so already.
  [[nodiscard]] bool wake_on_room(std::shared_ptr<mailbox> const& sender);
  /// Ends the actor's wait, or its next one.
  void wake() noexcept;

  /// Ends the actor; returns false if it is dead already. Its messages and unanswered calls are dropped, and the actors that
  /// monitor it or are linked to it are told, exactly once. For the thread that runs the actor.
  bool finish(kino::shareable reason) noexcept;

  /// Tells `watcher` when `watched` ends; at once if it is dead.
  static void watch(std::shared_ptr<mailbox> const& watched, std::shared_ptr<mailbox> const& watcher, std::uint64_t number);
  /// Ends a monitor of this actor. What was told before waits in the mailbox of the one that was told.
  void forget(std::uint64_t number) noexcept;
  /// Number of monitors and links that will tell of its end.
  [[nodiscard]] std::size_t relation_count() noexcept;
  /// Links the two, unless they are linked. Returns false if `other` is dead.
  static bool link(std::shared_ptr<mailbox> const& one, std::shared_ptr<mailbox> const& other, std::uint64_t number);

  // --- for the thread that runs the actor ---

  /// Call before anything that could let the collector destroy a reply_right: its caller is then told that it is abandoned.
  void begin_end() noexcept { ending_ = true; }
  /// Ends the link with `other`, and removes its signal if it has arrived.
  void unlink(mailbox& other) noexcept;

  /// Makes the next message the current one; returns whether there is one.
  bool take() noexcept;
  /// Makes the next signal the current message.
  bool take_signal() noexcept;
  /// Makes the next message that this search has not seen the current one, and leaves it in the mailbox.
  bool see_next() noexcept;
  /// Removes the message that was seen last.
  void take_seen() noexcept;
  void search_again() noexcept;
  /// The message that was taken or seen last.
  [[nodiscard]] message* current() const noexcept { return current_; }
  /// Registers the current message's caller to be told of the actor's end.
  void owe_answer();
  /// What its worker needs to start it; empty once it has started.
  kino::shareable plan{};
  [[nodiscard]] kino::parker& spot() const noexcept { return *spot_; }
  [[nodiscard]] kino::fork_mark const& born() const noexcept { return born_; }

private:
  friend run_queue;
  void make_current(std::unique_ptr<message> taken) noexcept;
  void tell_relations() noexcept;
  std::uint64_t link_with(mailbox& other) noexcept;
  static std::atomic<std::uint64_t>& last_id() noexcept;

  std::uint64_t const id_ = ++last_id();
  std::string const label_;
  std::size_t const capacity_;
  std::shared_ptr<run_queue> const home_;
  std::unique_ptr<kino::parker> spot_;  // only of an actor with a thread of its own
  kino::fork_mark const born_;

  kino::leaf_mutex mutex_;  // guards the following
  message_list messages_;
  message_list ahead_;
  message_list signals_;
  std::size_t size_ = 0;  // of messages_
  std::uint64_t arrived_ = 0;
  std::vector<std::shared_ptr<mailbox>> senders_;  // that wait for room
  kino::shareable reason_;
  std::atomic<bool> dead_{false};
  std::atomic<bool> ending_{false};

  relation_map relations_;  // under the mutex of all relations

  // Of the thread that runs the actor.
  message* current_ = nullptr;
  std::unique_ptr<message> taken_;
  bool seen_ahead_ = false;
  std::vector<kino::weak_responder> owed_;
  std::size_t owed_limit_ = 16;

  std::atomic<bool> queued_{false};
  std::shared_ptr<mailbox> next_queued_;  // under the mutex of the run queue
};
