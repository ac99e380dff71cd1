// SPDX-License-Identifier: MIT

#include "net/handshake_deadline.hpp"

#include <algorithm>
#include <chrono>
#include <sys/socket.h>
#include <utility>

namespace kino::server {

namespace {

// The maximum time that a finished handshake stays in the list if no other begins.
constexpr std::chrono::seconds tidy_time{1};
// How long another thread may take to read what has arrived.
constexpr std::chrono::seconds reading_time{1};

}  // namespace

void handshake_deadline::handshake::finished() noexcept {
  std::lock_guard guard(mutex_);
  socket_ = -1;
}

bool handshake_deadline::handshake::expired() const noexcept {
  std::lock_guard guard(mutex_);
  return expired_;
}

bool handshake_deadline::handshake::over() const noexcept {
  std::lock_guard guard(mutex_);
  return socket_ < 0;
}

// Whether bytes of the client wait in the socket. Under the lock, as below.
bool handshake_deadline::handshake::unread() const noexcept {
  std::lock_guard guard(mutex_);
  char byte = 0;
  return socket_ >= 0 && ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

// Under the lock, so the descriptor has not been closed and reused.
void handshake_deadline::handshake::expire() noexcept {
  std::lock_guard guard(mutex_);
  if (socket_ < 0) return;
  expired_ = true;
  ::shutdown(socket_, SHUT_RDWR);
}

std::shared_ptr<handshake_deadline::handshake> handshake_deadline::watch(int socket) {
  while (!watched_.empty() && watched_.front().of->over()) watched_.pop_front();
  auto fresh = std::make_shared<handshake>(socket);
  // Whatever fails from here on, the socket will be closed and its number reused.
  std::shared_ptr<handshake> guard(fresh.get(), [fresh](handshake* of) { of->finished(); });
  watched_.push_back({std::move(fresh), clock::now() + timeout_});
  if (watched_.size() == 1) set_alarm();
  return guard;
}

void handshake_deadline::stop() noexcept {
  watched_.clear();
  unread_.clear();
  alarm_.clear();
}

void handshake_deadline::look() noexcept {
  clock::time_point const now = std::max(clock::now(), alarm_at_);
  auto const is_next = [now](std::list<watched> const& in) { return !in.empty() && (in.front().due <= now || in.front().of->over()); };
  while (is_next(unread_)) {
    unread_.front().of->expire();
    unread_.pop_front();
  }
  while (is_next(watched_)) {
    watched& first = watched_.front();
    if (first.of->unread()) {
      first.due = now + reading_time;
      unread_.splice(unread_.end(), watched_, watched_.begin());
    } else {
      first.of->expire();
      watched_.pop_front();
    }
  }
  set_alarm();
}

void handshake_deadline::set_alarm() noexcept {
  if (watched_.empty() && unread_.empty()) return alarm_.clear();
  alarm_at_ = clock::now() + tidy_time;
  for (auto const* const each : {&watched_, &unread_}) {
    if (!each->empty()) alarm_at_ = std::min(alarm_at_, each->front().due);
  }
  alarm_.set(alarm_at_);
}

}  // namespace kino::server
