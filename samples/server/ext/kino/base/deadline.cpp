// SPDX-License-Identifier: MIT

#include "base/deadline.hpp"

#include <utility>

namespace kino::server {

void deadline_queue::run(clock::time_point now) noexcept {
  running_ = true;
  now_ = now;
  while (!set_.empty() && set_.begin()->first <= now) {
    deadline& due = *set_.begin()->second;
    reached_ = due.due();
    due.clear();
    due.then_();
  }
  running_ = false;
}

deadline::deadline(deadline_queue& in, std::function<void()> then) : queue_(in), then_(std::move(then)) {
  deadline_queue::ordered fresh;
  place_ = fresh.extract(fresh.emplace(clock::time_point::max(), this));
}

void deadline::set(clock::time_point when) noexcept {
  clear();
  // Otherwise a run could go on for ever, with the thread in it.
  if (queue_.running_ && when <= queue_.reached_) when = queue_.now_ + clock::duration(1);
  place_.key() = when;
  at_ = queue_.set_.insert(std::move(place_));
  if (!queue_.running_ && at_ == queue_.set_.begin()) queue_.wake_by_(when);
}

void deadline::clear() noexcept {
  if (!place_) place_ = queue_.set_.extract(at_);
}

}  // namespace kino::server
