// SPDX-License-Identifier: MIT

#include "admission/worker_recycler.hpp"

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <string>

namespace kino::server {

worker_recycler::worker_recycler(limits of, std::size_t slots, std::size_t units, std::uint32_t seed)
    : limits_(of), units_(units), places_(slots), random_(seed) {}

void worker_recycler::expect(std::size_t number) const {
  if (number >= units_.size()) throw std::invalid_argument("kino: there is no unit " + std::to_string(number));
}

void worker_recycler::joined(kino::worker_id worker, std::size_t number) noexcept {
  if (!enabled()) return;
  std::lock_guard guard(mutex_);
  unit& of = units_[number];
  bool const goes_on = units_.size() == 1 && of.limit.load(std::memory_order_relaxed) != 0;
  if (of.members++ == 0 && !goes_on) {
    std::uniform_int_distribution<std::uint64_t> more(0, limits_.jitter);
    of.taken.store(0, std::memory_order_relaxed);
    of.limit.store(limits_.max_requests + more(random_), std::memory_order_relaxed);
    of.leaving = plan_ && plan_->due == number;  // this one was already starting
  }
  places_[worker.index] = {.unit = number, .worker = worker, .present = true, .serves = false};
}

void worker_recycler::left(kino::worker_id worker) noexcept {
  if (!enabled()) return;
  std::lock_guard guard(mutex_);
  place& former = places_[worker.index];
  if (!former.present || former.worker != worker) return;
  former.present = false;
  --units_[former.unit].members;
  end_plan_if_over();
}

worker_recycler::advice worker_recycler::take(std::size_t slot) {
  if (!enabled()) return {};
  advice given;
  if (!places_[slot].serves) given.to_be_dismissed = begins(slot);
  unit const& of = unit_of(slot);
  if (of.taken.load(std::memory_order_relaxed) < of.limit.load(std::memory_order_relaxed)) return given;
  if (busy_.exchange(true, std::memory_order_relaxed)) return given;
  std::lock_guard guard(mutex_);
  if (of.leaving || !places_[slot].present) {  // It has a successor already.
    busy_.store(false, std::memory_order_relaxed);
  } else {
    given.due = places_[slot].unit;
  }
  return given;
}

void worker_recycler::replace(std::size_t due, std::size_t successor, std::size_t workers) noexcept {
  std::lock_guard guard(mutex_);
  plan_ = {due, successor, workers};
  units_[due].leaving = true;
  // The successor is new even if the number's former unit has only just left.
  units_[successor].leaving = false;
}

// Returns the workers of the former unit if this was the last one that its successor needs.
std::vector<kino::worker_id> worker_recycler::begins(std::size_t slot) {
  std::vector<kino::worker_id> former;
  former.reserve(places_.size());  // no memory is allocated under the lock
  std::lock_guard guard(mutex_);
  places_[slot].serves = true;
  if (!plan_ || plan_->successor != places_[slot].unit || plan_->missing == 0) return former;
  if (--plan_->missing != 0) return former;
  for (place const& each : places_) {
    if (each.present && each.unit == plan_->due) former.push_back(each.worker);
  }
  end_plan_if_over();
  return former;
}

void worker_recycler::end_plan_if_over() noexcept {
  if (!plan_ || plan_->missing != 0 || units_[plan_->due].members != 0) return;
  plan_.reset();
  busy_.store(false, std::memory_order_relaxed);
}

}  // namespace kino::server
