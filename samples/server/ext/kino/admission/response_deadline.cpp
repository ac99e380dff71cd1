// SPDX-License-Identifier: MIT

#include "admission/response_deadline.hpp"

#include <algorithm>
#include <utility>

namespace kino::server {

response_deadline::response_deadline(io_thread& home, clock::duration timeout, std::size_t workers)
    : timeout_(timeout),
      look_notice_(home.notices(), [this] { look(); }),
      alarm_(home.deadlines(), [this] { look(); }),
      requests_(limited() ? workers : 0) {}

response_deadline::~response_deadline() { close(); }

void response_deadline::watch(std::size_t worker, exchange& request) noexcept {
  if (!limited()) return;
  request.add_weak();
  request.due().start(clock::now() + timeout_);
  exchange* before = nullptr;
  bool first_alarm = false;
  {
    std::lock_guard guard(mutex_);
    before = std::exchange(requests_[worker], &request);
    // An alarm that is set is early enough, see look.
    first_alarm = !std::exchange(alarm_due_, true);
  }
  if (before) before->drop_weak();
  if (first_alarm) look_notice_.send();
}

void response_deadline::forget(std::size_t worker) noexcept {
  if (!limited()) return;
  exchange* before = nullptr;
  {
    std::lock_guard guard(mutex_);
    before = std::exchange(requests_[worker], nullptr);
  }
  if (before) before->drop_weak();
}

void response_deadline::close() noexcept {
  for (std::size_t worker = 0; worker != requests_.size(); ++worker) forget(worker);
}

// Returns a request that is due, and its reference; if there is none, `next` is when to look again.
exchange* response_deadline::take_late(clock::time_point now, clock::time_point& next) noexcept {
  std::lock_guard guard(mutex_);
  next = clock::time_point::max();
  for (exchange*& each : requests_) {
    if (!each) continue;
    if (each->due().over(now)) return std::exchange(each, nullptr);
    next = std::min(next, each->due().when());
  }
  alarm_due_ = next != clock::time_point::max();
  return nullptr;
}

void response_deadline::look() noexcept {
  clock::time_point const now = std::max(clock::now(), alarm_at_);
  alarm_at_ = {};
  clock::time_point next;
  while (exchange* const late = take_late(now, next)) {
    late->end(kino::ending::expired);
    late->drop_weak();
  }
  if (next == clock::time_point::max()) return alarm_.clear();
  // Requests may have been extended; one that is taken from now on is not.
  alarm_at_ = std::min(next, now + timeout_);
  alarm_.set(alarm_at_);
}

}  // namespace kino::server
