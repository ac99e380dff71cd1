// SPDX-License-Identifier: MIT

#include "admission/queue_deadline.hpp"

#include <algorithm>
#include <utility>

namespace kino::server {

void queue_deadline::list::push(exchange& one) noexcept {
  (first ? last->watched_next_ : first) = &one;
  last = &one;
}

exchange& queue_deadline::list::pop() noexcept {
  exchange& front = *first;
  first = std::exchange(front.watched_next_, nullptr);
  return front;
}

void queue_deadline::list::forget_all() noexcept {
  while (first) pop().drop_weak();
}

queue_deadline::queue_deadline(io_thread& home, clock::duration timeout)
    : timeout_(timeout), look_notice_(home.notices(), [this] { look(); }), alarm_(home.deadlines(), [this] { look(); }) {}

queue_deadline::~queue_deadline() { watched_.forget_all(); }

void queue_deadline::watch(exchange::reply const& reply) noexcept {
  if (timeout_ == clock::duration::zero()) return;
  exchange& fresh = exchange::of(reply);
  fresh.expires_at_ = clock::now() + timeout_;
  list finished;
  bool first_alarm = false;
  {
    std::lock_guard guard(mutex_);
    if (closed_) return;
    take_finished(finished);
    fresh.add_weak();
    watched_.push(fresh);
    first_alarm = !std::exchange(alarm_due_, true);
  }
  finished.forget_all();
  if (first_alarm) look_notice_.send();
}

// With the lock. Requests begin in the order in which they came, nearly.
void queue_deadline::take_finished(list& into) noexcept {
  while (watched_.first && watched_.first->begun_or_ended()) into.push(watched_.pop());
}

void queue_deadline::take_late(list& into, clock::time_point now) noexcept {
  while (watched_.first && watched_.first->expires_at_ <= now) into.push(watched_.pop());
}

void queue_deadline::look() noexcept {
  list finished, late;
  {
    std::lock_guard guard(mutex_);
    take_finished(finished);
    take_late(late, clock::now());
  }
  finished.forget_all();
  while (late.first) {
    exchange& one = late.pop();
    if (one.withdraw()) one.end(kino::ending::expired);
    one.drop_weak();
  }
  set_alarm();
}

void queue_deadline::set_alarm() noexcept {
  clock::time_point when = clock::now() + tidy_time;
  bool due = false;
  {
    std::lock_guard guard(mutex_);
    due = alarm_due_ = watched_.first != nullptr;
    if (due) when = std::min(when, watched_.first->expires_at_);
  }
  due ? alarm_.set(when) : alarm_.clear();
}

void queue_deadline::close() noexcept {
  list all;
  {
    std::lock_guard guard(mutex_);
    closed_ = true;
    std::swap(all, watched_);
  }
  all.forget_all();
  look_notice_.send();  // nothing is left to wait for: the alarm is taken back
}

}  // namespace kino::server
