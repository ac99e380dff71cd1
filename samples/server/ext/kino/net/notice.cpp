// SPDX-License-Identifier: MIT

#include "net/notice.hpp"

#include <asio/post.hpp>

#include <utility>

namespace kino::server {

notice::~notice() {
  if (sent_) to_.withdraw(*this);
}

bool notice::send() noexcept { return to_.send(*this); }

bool notice_queue::send(notice& one) noexcept {
  {
    std::lock_guard guard(mutex_);
    if (std::exchange(one.sent_, true)) return false;
    one.next_ = nullptr;
    *end_ = &one;
    end_ = &one.next_;
    ++length_;
    if (std::exchange(posted_, true)) return true;
  }
  asio::post(context_, handler_in(memory_, [this] { call_all(); }));
  return true;
}

notice* notice_queue::take() {
  std::lock_guard guard(mutex_);
  notice* const one = first_;
  if (!one) return nullptr;
  first_ = one->next_;
  if (!first_) end_ = &first_;
  --length_;
  one->sent_ = false;
  return one;
}

void notice_queue::call_all() {
  std::size_t due = 0;
  {
    std::lock_guard guard(mutex_);
    posted_ = false;
    due = length_;  // What is sent from now on is posted again: sockets have their turn between.
  }
  for (; due != 0; --due) {
    notice* const one = take();
    if (!one) return;
    one->work_();
  }
}

void notice_queue::withdraw(notice& one) noexcept {
  std::lock_guard guard(mutex_);
  notice** link = &first_;
  while (*link != &one) link = &(*link)->next_;
  *link = one.next_;
  if (!one.next_) end_ = link;
  --length_;
}

}  // namespace kino::server
