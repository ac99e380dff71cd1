// SPDX-License-Identifier: MIT
//
// message: what waits in an actor's mailbox.

#pragma once

#include <kino/dispatch.hpp>

#include <cstdint>
#include <memory>
#include <utility>

class mailbox;

/// What a message is; the numbers are those of Actors::Native in Ruby.
enum class message_kind : int { info, cast, call, system, down, exit };

/// A message. Destroying one drops its responder, so a caller learns that it will not be answered.
struct message {
  message_kind kind = message_kind::info;
  kino::shareable body{};
  kino::responder<kino::shareable> reply{};  // call
  std::uint64_t watch = 0;                   // down: the number of the monitor
  std::shared_ptr<mailbox> about{};          // down, exit: the actor that has ended, or that sent the signal
  message* next = nullptr;
};

/// A list of messages that its owner can search: it sees one message after the other and may take the one it saw last.
///
/// Threads: one at a time. Destroys what is left in it.
class message_list {
public:
  message_list() = default;
  message_list(message_list const&) = delete;
  message_list& operator=(message_list const&) = delete;
  ~message_list() {
    while (take_first()) {
    }
  }

  [[nodiscard]] bool empty() const noexcept { return !first_; }

  void push(std::unique_ptr<message> added) noexcept {
    added->next = nullptr;
    *end_ = added.release();
    end_ = &(*end_)->next;
  }

  /// The first message; null if there is none. The search begins again.
  std::unique_ptr<message> take_first() noexcept {
    seen_ = &first_;
    return first_ ? take_seen() : nullptr;
  }

  /// The next message that the search has not seen; null if it has seen all.
  message* see_next() noexcept {
    if (!*unseen_) return nullptr;
    seen_ = std::exchange(unseen_, &(*unseen_)->next);
    return *seen_;
  }

  /// Removes the message that was seen last.
  std::unique_ptr<message> take_seen() noexcept {
    std::unique_ptr<message> taken(*seen_);
    if (end_ == &taken->next) end_ = seen_;
    *seen_ = taken->next;
    unseen_ = seen_;
    return taken;
  }

  void search_again() noexcept { unseen_ = &first_; }

  /// Moves all messages to the empty list `other`.
  void move_to(message_list& other) noexcept {
    if (!first_) return;
    other.first_ = std::exchange(first_, nullptr);
    other.end_ = end_;
    end_ = seen_ = unseen_ = &first_;
  }

private:
  message* first_ = nullptr;
  message** end_ = &first_;
  message** seen_ = &first_;
  message** unseen_ = &first_;
};
