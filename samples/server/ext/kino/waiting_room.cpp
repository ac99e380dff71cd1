// SPDX-License-Identifier: MIT

#include "waiting_room.hpp"

#include "log.hpp"

#include <asio/post.hpp>

#include <exception>
#include <string>
#include <utility>

namespace kino::server {

waiting_room::waiting_room(asio::io_context& context, clock::duration patience, offer to_queue)
    : patience_(patience), offer_(std::move(to_queue)), timer_(context) {}

void waiting_room::enter(exchange::reply&& reply) {
  if (count_.load(std::memory_order_relaxed) == 0) {  // a stale count only changes who is first
    fate const offered = offer_(reply);
    if (offered == fate::accepted) return;
    if (offered == fate::closed) {
      reply.expire();
      return;
    }
  }
  clock::time_point const until = clock::now() + patience_;
  bool refused = false;
  {
    std::lock_guard guard(mutex_);
    refused = closed_;
    if (!refused) {
      guests_.push_back({std::move(reply), until});
      count_.fetch_add(1);  // seq_cst, see room_again
    }
  }
  if (refused) {
    reply.expire();
    return;
  }
  set_alarm(until);
  let_in();
}

void waiting_room::let_in() {
  {
    // One thread at a time offers, or the order would be lost.
    std::lock_guard guard(mutex_);
    again_ = true;
    if (letting_in_) return;
    letting_in_ = true;
  }
  for (;;) {
    guest first;
    {
      std::lock_guard guard(mutex_);
      if (guests_.empty() || !again_) {
        letting_in_ = false;
        return;
      }
      again_ = false;
      first = std::move(guests_.front());
      guests_.pop_front();
    }
    fate const offered = first.reply.ended() ? fate::accepted : offer_(first.reply);
    if (offered == fate::closed) first.reply.expire();
    std::lock_guard guard(mutex_);
    if (offered == fate::full) {
      guests_.push_front(std::move(first));  // Once more only if there was room meanwhile.
    } else {
      again_ = true;
      count_.fetch_sub(1);
    }
  }
}

void waiting_room::place::give_up() noexcept {
  waiting_room* const room = std::exchange(room_, nullptr);
  if (!room) return;
  try {
    room->room_again();
  } catch (std::exception const& e) {
    log_line(std::string("requests wait although there is room: ") + e.what());
  }
}

void waiting_room::expire_late() {
  clock::time_point const now = clock::now();
  clock::time_point next = clock::time_point::max();
  std::deque<guest> late;
  {
    std::lock_guard guard(mutex_);
    alarm_set_ = false;
    while (!guests_.empty() && (closed_ || guests_.front().until <= now)) {
      late.push_back(std::move(guests_.front()));
      guests_.pop_front();
      count_.fetch_sub(1);
    }
    if (!guests_.empty()) next = guests_.front().until;
  }
  for (guest& one : late) one.reply.expire();
  if (next != clock::time_point::max()) set_alarm(next);
}

void waiting_room::set_alarm(clock::time_point when) {
  {
    std::lock_guard guard(mutex_);
    if (alarm_set_) return;  // All wait equally long: the first alarm is the earliest.
    alarm_set_ = true;
  }
  asio::post(timer_.get_executor(), [this, when] {
    timer_.expires_at(when);
    timer_.async_wait([this](asio::error_code const& cancelled) {
      if (!cancelled) expire_late();
    });
  });
}

void waiting_room::close() {
  {
    std::lock_guard guard(mutex_);
    closed_ = true;
  }
  expire_late();
  let_in();  // One that was being offered may be back; the queue is closed, which ends it.
  asio::post(timer_.get_executor(), [this] { timer_.cancel(); });
}

}  // namespace kino::server
