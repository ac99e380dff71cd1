// SPDX-License-Identifier: MIT

#include "queue_deadline.hpp"

#include "log.hpp"

#include <asio/post.hpp>

#include <algorithm>
#include <exception>
#include <string>
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

queue_deadline::queue_deadline(asio::io_context& context, clock::duration patience)
    : patience_(patience), timer_(context) {}

queue_deadline::~queue_deadline() { watched_.forget_all(); }

void queue_deadline::watch(exchange::reply const& reply) noexcept {
  if (patience_ == clock::duration::zero()) return;
  exchange& fresh = exchange::of(reply);
  fresh.expires_at_ = clock::now() + patience_;
  list finished;
  bool first_alarm = false;
  {
    std::lock_guard guard(mutex_);
    if (closed_) return;
    take_finished(finished);
    fresh.add_weak();
    watched_.push(fresh);
    first_alarm = !std::exchange(alarm_set_, true);
  }
  finished.forget_all();
  if (first_alarm) ask_for_alarm();
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
    if (one.begin()) one.end(kino::ending::expired);
    one.drop_weak();
  }
  set_alarm();
}

// By the caller that has set `alarm_set_`; any thread.
void queue_deadline::ask_for_alarm() noexcept try {
  asio::post(timer_.get_executor(), [this] { set_alarm(); });
} catch (std::exception const& e) {
  no_alarm(e);
}

// On the context's thread.
void queue_deadline::set_alarm() noexcept try {
  clock::time_point when = clock::now() + tidy_time;
  {
    std::lock_guard guard(mutex_);
    alarm_set_ = watched_.first != nullptr;
    if (!alarm_set_) return;
    when = std::min(when, watched_.first->expires_at_);
  }
  timer_.expires_at(when);
  timer_.async_wait([this](asio::error_code const&) { look(); });
} catch (std::exception const& e) {
  no_alarm(e);
}

// The next request sets the alarm for those that wait now, too.
void queue_deadline::no_alarm(std::exception const& why) noexcept {
  log_line(std::string("queue_timeout is late: ") + why.what());
  std::lock_guard guard(mutex_);
  alarm_set_ = false;
}

void queue_deadline::close() noexcept {
  list all;
  {
    std::lock_guard guard(mutex_);
    closed_ = true;
    std::swap(all, watched_);
  }
  all.forget_all();
  try {
    asio::post(timer_.get_executor(), [this] { timer_.cancel(); });
  } catch (std::exception const& e) {
    log_line(std::string("queue_timeout ends late: ") + e.what());  // within tidy_time
  }
}

}  // namespace kino::server
