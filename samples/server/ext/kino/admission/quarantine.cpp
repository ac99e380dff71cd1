// SPDX-License-Identifier: MIT

#include "admission/quarantine.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace kino::server {

namespace {

constexpr std::chrono::milliseconds until_next_look{100};

bool busy(kino::worker_slots::view const& worker) noexcept {
  return worker.occupied && !worker.quarantined && worker.in_flight != 0;
}

}  // namespace

quarantine::quarantine(io_thread& home, settings chosen, kino::worker_slots const& slots, callbacks calls)
    : settings_(chosen),
      slots_(slots),
      calls_(std::move(calls)),
      look_notice_(home.notices(), [this] { look(); }),
      alarm_(home.deadlines(), [this] { look(); }) {}

void quarantine::start() noexcept {
  if (enabled()) look_notice_.send();
}

void quarantine::left() noexcept {
  if (enabled()) look_notice_.send();
}

std::size_t quarantine::size() const noexcept {
  std::size_t aside = 0;
  for (std::size_t i = 0; i != slots_.size(); ++i) {
    auto const worker = slots_.view_of(i);
    aside += worker.occupied && worker.quarantined;
  }
  return aside;
}

bool quarantine::exhausted(clock::time_point now) const noexcept {
  if (!enabled()) return false;
  std::size_t aside = 0;
  std::size_t stuck = 0;
  for (std::size_t i = 0; i != slots_.size(); ++i) {
    auto const worker = slots_.view_of(i);
    if (!worker.occupied) continue;
    if (worker.quarantined) {
      ++aside;
    } else if (busy(worker) && due(worker) <= now) {
      ++stuck;
    } else {
      return false;
    }
  }
  return aside >= settings_.most && stuck != 0;
}

clock::time_point quarantine::due(kino::worker_slots::view const& worker) const noexcept {
  return worker.since + settings_.timeout;
}

// The view may be half that of a successor, which has done nothing wrong. What is seen of the slot once the mark is set belongs
// to the worker that has it.
bool quarantine::admit(kino::worker_slots::view const& stuck, clock::time_point now) noexcept {
  if (!calls_.mark(stuck.id(), true)) return false;
  auto const marked = slots_.view_of(stuck.index);
  if (marked.in_flight != 0 && due(marked) <= now) return true;
  static_cast<void>(calls_.mark(stuck.id(), false));
  return false;
}

void quarantine::look() noexcept {
  clock::time_point const now = std::max(clock::now(), std::exchange(alarm_at_, {}));
  std::size_t aside = size();
  std::optional<kino::worker_slots::view> refused;
  // A request that begins later is due later.
  clock::time_point next = now + settings_.timeout;
  for (std::size_t i = 0; i != slots_.size(); ++i) {
    auto const worker = slots_.view_of(i);
    if (!busy(worker)) continue;
    clock::time_point const when = due(worker);
    if (when > now) {
      next = std::min(next, when);
    } else if (aside >= settings_.most) {
      refused = worker;
    } else if (admit(worker, now)) {
      total_.add();
      calls_.put_aside(worker, ++aside);
    }
  }
  if (refused && !full_) calls_.full(*refused);
  full_ = refused.has_value();
  bool const none = exhausted(now);
  if (none != std::exchange(none_left_, none)) calls_.none_left(none);
  // The end of a request is not told here.
  if (none) next = std::min(next, now + until_next_look);
  alarm_at_ = next;
  alarm_.set(next);
}

}  // namespace kino::server
