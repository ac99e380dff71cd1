// SPDX-License-Identifier: MIT

#include "http/body_pipe.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace kino::server {

bool body_pipe::push(std::string_view bytes) {
  bool wake = false;
  bool go_on = true;
  {
    std::lock_guard guard(mutex_);
    if (discarded_) return true;
    bytes_.append(bytes);
    wake = std::exchange(reader_waits_, false);
    if (bytes_.size() >= tuning::pipe_capacity) {
      writer_waits_ = true;
      go_on = false;
    }
  }
  // After the lock: the parker has one of its own, and ours is a leaf. The parker lives as
  // long as the pipe, so a reader that has gone meanwhile is no danger.
  if (wake) arrivals_.notify();
  return go_on;
}

bool body_pipe::discarded() {
  std::lock_guard guard(mutex_);
  return discarded_;
}

bool body_pipe::full() {
  std::lock_guard guard(mutex_);
  return writer_waits_;
}

void body_pipe::end(state how, rejection const& why) {
  bool wake = false;
  {
    std::lock_guard guard(mutex_);
    if (state_ != state::open) return;
    state_ = how;
    why_ = why;
    wake = std::exchange(reader_waits_, false);
  }
  if (wake) arrivals_.notify();
}

body_pipe::taken body_pipe::take(char* out, std::size_t room) {
  std::lock_guard guard(mutex_);
  taken result{std::min(room, bytes_.size()), 0, state::open, false, {}};
  if (result.length != 0) {
    std::memcpy(out, bytes_.data(), result.length);
    bytes_.consume(result.length);
  }
  result.left = bytes_.size();
  if (bytes_.empty()) {
    result.what = state_;
    result.why = why_;
  }
  if (writer_waits_ && state_ == state::open && bytes_.size() <= tuning::pipe_capacity / 2) {
    writer_waits_ = false;
    result.room_again = true;
  }
  return result;
}

bool body_pipe::discard() {
  std::lock_guard guard(mutex_);
  discarded_ = true;
  bytes_.clear(tuning::kept_capacity);
  return std::exchange(writer_waits_, false) && state_ == state::open;
}

bool body_pipe::await() {
  std::lock_guard guard(mutex_);
  reader_waits_ = bytes_.empty() && state_ == state::open;
  return reader_waits_;
}

void body_pipe::reset() {
  bytes_.clear(tuning::kept_capacity);
  state_ = state::open;
  why_ = {};
  discarded_ = writer_waits_ = reader_waits_ = false;
  arrivals_.consume_notification();
  arrivals_.clear_interruption();
}

}  // namespace kino::server
