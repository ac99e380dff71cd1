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
  alarm_.clear();
}

void handshake_deadline::look() noexcept {
  clock::time_point const now = clock::now();
  while (!watched_.empty() && (watched_.front().due <= now || watched_.front().of->over())) {
    watched_.front().of->expire();
    watched_.pop_front();
  }
  set_alarm();
}

void handshake_deadline::set_alarm() noexcept {
  if (watched_.empty()) return alarm_.clear();
  alarm_.set(std::min(watched_.front().due, clock::now() + tidy_time));
}

}  // namespace kino::server
