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

admission_queue::fate admission_queue::offer_to_queue(work& any) noexcept {
  try {
    return offer_(any);
  } catch (std::exception const&) {
    return fate::closed;  // There is no memory to queue it: its client learns so now.
  }
}

void admission_queue::enter(exchange::reply&& reply) noexcept {
  work entering{std::move(reply), {}};
  if (count_.load(std::memory_order_relaxed) == 0) {  // a stale count only changes which entry is first
    fate const offered = offer_to_queue(entering);
    if (offered == fate::accepted) return;
    if (offered == fate::closed) {
      entering.reply.expire();
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
      entries_.back().reply = std::move(entering.reply);
      requests_.fetch_add(1, std::memory_order_relaxed);
      count_.fetch_add(1);  // seq_cst, see room_again
      entered = true;
      first_alarm = !std::exchange(alarm_due_, true);
    } catch (std::bad_alloc const&) {
    }
  }
  if (!entered) {
    entering.reply.expire();
    return;
  }
  if (first_alarm) alarm_notice_.send();
  admit();
}

void admission_queue::enter(websocket_turn&& turn) noexcept {
  work entering{{}, std::move(turn)};
  if (count_.load(std::memory_order_relaxed) == 0) {  // as above
    fate const offered = offer_to_queue(entering);
    if (offered == fate::accepted) return;
    if (offered == fate::closed) return entering.turn.discard();
  }
  {
    std::lock_guard guard(mutex_);
    if (!closed_) {
      turns_.push_back(std::move(entering.turn));
      count_.fetch_add(1);  // seq_cst, see room_again
    }
  }
  if (entering.turn) return entering.turn.discard();
  admit();
}

// With the lock; something waits.
work admission_queue::take_first() noexcept {
  bool const turn = !turns_.empty() && (entries_.empty() || turn_is_next_);
  turn_is_next_ = !turn;
  if (turn) return {{}, turns_.pop_front()};
  offering_ = true;
  return {std::move(entries_.front().reply), {}};
}

// With the lock: what was offered goes back to where it was, or leaves. Returns whether an alarm must be set.
bool admission_queue::put_back(work& first, fate offered) noexcept {
  bool const stays = offered == fate::full && !closed_;
  bool const request = std::exchange(offering_, false);
  if (stays && !request) {
    turns_.push_front(std::move(first.turn));
    turn_is_next_ = true;
    return false;
  }
  if (stays && clock::now() < entries_.front().until) {
    entries_.front().reply = std::move(first.reply);
    turn_is_next_ = false;
    // The alarm may have been due only for this request, while it was being offered.
    return !std::exchange(alarm_due_, true);
  }
  if (request) {
    entries_.pop_front();
    requests_.fetch_sub(1, std::memory_order_relaxed);
  }
  count_.fetch_sub(1);
  again_ = true;
  return false;
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
    work first;
    {
      std::lock_guard guard(mutex_);
      if ((entries_.empty() && turns_.empty()) || !again_) {
        admitting_ = false;
        return;
      }
      again_ = false;
      first = take_first();
    }
    bool const ended = first.reply && first.reply.ended();
    fate const offered = ended ? fate::accepted : offer_to_queue(first);
    bool first_alarm = false;
    {
      std::lock_guard guard(mutex_);
      first_alarm = put_back(first, offered);  // Once more only if there was room meanwhile.
    }
    // Unless they are in the queue, or back in their place:
    first.reply.expire();
    first.turn.discard();
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
  requests_.fetch_sub(1, std::memory_order_relaxed);
  count_.fetch_sub(1);
  return true;
}

bool admission_queue::take(websocket_turn& waiting) noexcept {
  std::lock_guard guard(mutex_);
  if (turns_.empty()) return false;
  waiting = turns_.pop_front();
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
  // Those that are being offered do so when they come back.
  expire_until(clock::time_point::max());
  for (websocket_turn late; take(late);) late.discard();
  alarm_notice_.send();
}

}  // namespace kino::server
