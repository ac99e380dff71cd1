// SPDX-License-Identifier: MIT

#include "admission/admission_queue.hpp"

#include <exception>
#include <optional>
#include <utility>

namespace kino::server {

admission_queue::admission_queue(io_thread& home, clock::duration timeout, offer to_queue)
    : timeout_(timeout),
      offer_(std::move(to_queue)),
      alarm_notice_(home.notices(), [this] { watch(); }),
      alarm_(home.deadlines(), [this] { watch(); }) {}

admission_queue::fate admission_queue::offer_to_queue(exchange::reply& reply) noexcept {
  try {
    return offer_(reply);
  } catch (std::exception const&) {
    return fate::closed;  // There is no memory to queue it: its client learns so now.
  }
}

void admission_queue::enter(exchange::reply&& reply) noexcept {
  exchange::reply entering = std::move(reply);
  if (count_.load(std::memory_order_relaxed) == 0) {  // a stale count only changes who is first
    fate const offered = offer_to_queue(entering);
    if (offered == fate::accepted) return;
    if (offered == fate::closed) {
      entering.expire();
      return;
    }
  }
  clock::time_point const until = clock::now() + timeout_;
  bool entered = false;
  bool first_alarm = false;
  {
    std::lock_guard guard(mutex_);
    if (!closed_) try {
      entries_.push_back({{}, until});
      entries_.back().reply = std::move(entering);
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
  admit();
}

void admission_queue::admit() noexcept {
  {
    // One thread at a time offers, or the order would be lost.
    std::lock_guard guard(mutex_);
    again_ = true;
    if (admitting_) return;
    admitting_ = true;
  }
  for (;;) {
    exchange::reply first;
    {
      std::lock_guard guard(mutex_);
      if (entries_.empty() || !again_) {
        admitting_ = false;
        return;
      }
      again_ = false;
      offering_ = true;
      first = std::move(entries_.front().reply);
    }
    fate const offered = first.ended() ? fate::accepted : offer_to_queue(first);
    bool first_alarm = false;
    {
      std::lock_guard guard(mutex_);
      offering_ = false;
      entry& place = entries_.front();
      if (offered == fate::full && !closed_ && clock::now() < place.until) {
        place.reply = std::move(first);  // Once more only if there was room meanwhile.
        // The alarm may have been due only for this request, while it was being offered.
        first_alarm = !std::exchange(alarm_due_, true);
      } else {
        entries_.pop_front();
        count_.fetch_sub(1);
        again_ = true;
      }
    }
    first.expire();  // unless it is in the queue or back in its place
    if (first_alarm) alarm_notice_.send();
  }
}

void admission_queue::place::give_up() noexcept {
  if (admission_queue* const room = std::exchange(room_, nullptr)) room->room_again();
}

// Takes the first entry that is not being offered and whose time is over at `latest`.
bool admission_queue::take(clock::time_point latest, exchange::reply& late) {
  std::lock_guard guard(mutex_);
  auto const first = entries_.begin() + (offering_ ? 1 : 0);
  if (first >= entries_.end() || first->until > latest) return false;
  late = std::move(first->reply);
  entries_.erase(first);
  count_.fetch_sub(1);
  return true;
}

void admission_queue::expire_until(clock::time_point latest) noexcept {
  for (exchange::reply late; take(latest, late);) late.expire();
}

void admission_queue::watch() noexcept {
  expire_until(clock::now());
  std::optional<clock::time_point> next;
  {
    std::lock_guard guard(mutex_);
    std::size_t const offered = offering_ ? 1 : 0;
    alarm_due_ = entries_.size() > offered;
    if (alarm_due_) next = entries_[offered].until;  // All wait equally long: it is the earliest.
  }
  next ? alarm_.set(*next) : alarm_.clear();
}

void admission_queue::close() noexcept {
  {
    std::lock_guard guard(mutex_);
    closed_ = true;
  }
  expire_until(clock::time_point::max());  // One that is being offered expires when it comes back.
  alarm_notice_.send();
}

}  // namespace kino::server
