// SPDX-License-Identifier: MIT

#include "websocket/outbox.hpp"

#include <new>
#include <utility>

namespace kino::server {

// --- the queue ----------------------------------------------------------------------

bool outbox::queue::ready() const noexcept {
  std::lock_guard guard(mutex_);
  return closed_ || !messages_.empty();
}

std::optional<outgoing_message> outbox::queue::take() noexcept {
  std::lock_guard guard(mutex_);
  if (messages_.empty()) return {};
  outgoing_message first = std::move(messages_.front());
  messages_.pop_front();
  bytes_ -= first.channel.size() + first.data.size();
  return first;
}

bool outbox::queue::add(std::string_view channel, std::string_view data, bool text) {
  outgoing_message made{std::string(channel), std::string(data), text};
  {
    std::lock_guard guard(mutex_);
    std::size_t const size = channel.size() + data.size();
    if (closed_) return true;  // There is no receiver.
    if (messages_.size() == most_messages || bytes_ + size > most_bytes) return false;
    messages_.push_back(std::move(made));
    bytes_ += size;
  }
  changed_.notify_all();
  return true;
}

void outbox::queue::close() noexcept {
  {
    std::lock_guard guard(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

// --- the outbox ---------------------------------------------------------------------

std::shared_ptr<outbox::queue> outbox::open() {
  auto fresh = std::make_shared<queue>();
  close();
  std::lock_guard guard(mutex_);
  queue_ = fresh;
  open_.store(true, std::memory_order_relaxed);
  return fresh;
}

void outbox::close() noexcept {
  open_.store(false, std::memory_order_relaxed);
  if (auto const last = current()) last->close();
}

std::shared_ptr<outbox::queue> outbox::current() const noexcept {
  std::lock_guard guard(mutex_);
  return queue_;
}

void outbox::add(std::string_view channel, std::string_view data, bool text) noexcept {
  if (!open_.load(std::memory_order_relaxed)) return;
  try {
    if (current()->add(channel, data, text)) return;
  } catch (std::bad_alloc const&) {
  }
  dropped_.add();
}

}  // namespace kino::server
