// SPDX-License-Identifier: MIT

#include "waiting_room.hpp"

#include <exception>
#include <optional>
#include <utility>

namespace kino::server {

waiting_room::waiting_room(io_thread& home, clock::duration patience, offer to_queue)
    : patience_(patience),
      offer_(std::move(to_queue)),
      timer_(home.context()),
      alarm_notice_(home.notices(), [this] { watch(); }) {}

waiting_room::fate waiting_room::offer_to_queue(exchange::reply& reply) noexcept {
  try {
    return offer_(reply);
  } catch (std::exception const&) {
    return fate::closed;  // There is no memory to queue it: its client learns so now.
  }
}

void waiting_room::enter(exchange::reply&& reply) noexcept {
  exchange::reply entering = std::move(reply);
  if (count_.load(std::memory_order_relaxed) == 0) {  // a stale count only changes who is first
    fate const offered = offer_to_queue(entering);
    if (offered == fate::accepted) return;
    if (offered == fate::closed) {
      entering.expire();
      return;
    }
  }
  clock::time_point const until = clock::now() + patience_;
  bool entered = false;
  bool first_alarm = false;
  {
    std::lock_guard guard(mutex_);
    if (!closed_) try {
      guests_.push_back({{}, until});
      guests_.back().reply = std::move(entering);
      count_.fetch_add(1);  // seq_cst, see room_again
      entered = true;
      first_alarm = !std::exchange(alarm_due_, true);
    } catch (std::bad_alloc const&) {
    }
  }
  if (!entered) {
    entering.expire();
    return;
  }
  if (first_alarm) alarm_notice_.send();
  let_in();
}

void waiting_room::let_in() noexcept {
  {
    // One thread at a time offers, or the order would be lost.
    std::lock_guard guard(mutex_);
    again_ = true;
    if (letting_in_) return;
    letting_in_ = true;
  }
  for (;;) {
    exchange::reply first;
    {
      std::lock_guard guard(mutex_);
      if (guests_.empty() || !again_) {
        letting_in_ = false;
        return;
      }
      again_ = false;
      offering_ = true;
      first = std::move(guests_.front().reply);
    }
    fate const offered = first.ended() ? fate::accepted : offer_to_queue(first);
    bool first_alarm = false;
    {
      std::lock_guard guard(mutex_);
      offering_ = false;
      guest& place = guests_.front();
      if (offered == fate::full && !closed_ && clock::now() < place.until) {
        place.reply = std::move(first);  // Once more only if there was room meanwhile.
        // The alarm may have rung for nobody but this one, while it was not there.
        first_alarm = !std::exchange(alarm_due_, true);
      } else {
        guests_.pop_front();
        count_.fetch_sub(1);
        again_ = true;
      }
    }
    first.expire();  // unless it is in the queue or back in its place
    if (first_alarm) alarm_notice_.send();
  }
}

void waiting_room::place::give_up() noexcept {
  if (waiting_room* const room = std::exchange(room_, nullptr)) room->room_again();
}

// Takes the first guest that is not being offered and whose time is over at `latest`.
bool waiting_room::take(clock::time_point latest, exchange::reply& late) {
  std::lock_guard guard(mutex_);
  auto const first = guests_.begin() + (offering_ ? 1 : 0);
  if (first >= guests_.end() || first->until > latest) return false;
  late = std::move(first->reply);
  guests_.erase(first);
  count_.fetch_sub(1);
  return true;
}

void waiting_room::expire_until(clock::time_point latest) noexcept {
  for (exchange::reply late; take(latest, late);) late.expire();
}

void waiting_room::watch() noexcept {
  expire_until(clock::now());
  std::optional<clock::time_point> next;
  {
    std::lock_guard guard(mutex_);
    std::size_t const offered = offering_ ? 1 : 0;
    alarm_due_ = guests_.size() > offered;
    if (alarm_due_) next = guests_[offered].until;  // All wait equally long: it is the earliest.
  }
  if (!next) return static_cast<void>(timer_.cancel());
  try {
    timer_.expires_at(*next);
    timer_.async_wait([this](asio::error_code const& cancelled) {
      if (!cancelled) watch();
    });
  } catch (std::exception const&) {
    // Where no deadline can be kept, there is no waiting either. Who enters meanwhile sends anew.
    expire_until(clock::time_point::max());
    alarm_notice_.send();
  }
}

void waiting_room::close() noexcept {
  {
    std::lock_guard guard(mutex_);
    closed_ = true;
  }
  expire_until(clock::time_point::max());  // One that is being offered expires when it comes back.
  alarm_notice_.send();
}

}  // namespace kino::server
