// SPDX-License-Identifier: MIT

#include "control/current_requests.hpp"

#include <algorithm>
#include <mutex>
#include <span>
#include <string_view>

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace kino::server {

namespace {

std::int64_t this_thread() noexcept {
#ifdef __linux__
  return ::syscall(SYS_gettid);
#else
  return 0;
#endif
}

std::uint16_t copy(std::string_view from, std::span<char> to) noexcept {
  std::size_t const size = std::min(from.size(), to.size());
  std::copy_n(from.data(), size, to.data());
  return static_cast<std::uint16_t>(size);
}

}  // namespace

void current_requests::joined(std::size_t worker) noexcept {
  if (worker >= count_) return;
  std::int64_t const id = this_thread();
  std::lock_guard guard(slots_[worker].mutex);
  slots_[worker].thread_id = id;
}

void current_requests::began(std::size_t worker, request const& head, clock::time_point ready) noexcept {
  if (worker >= count_) return;
  slot& mine = slots_[worker];
  clock::time_point const now = clock::now();
  std::lock_guard guard(mine.mutex);
  mine.method_size = copy(head.method(), mine.method);
  mine.path_size = copy(head.path(), mine.path);
  mine.cut = mine.path_size < head.path().size();
  mine.ready = ready;
  mine.began = now;
  mine.busy = true;
}

void current_requests::ended(std::size_t worker) noexcept {
  if (worker >= count_) return;
  std::lock_guard guard(slots_[worker].mutex);
  slots_[worker].busy = false;
}

current_requests::view current_requests::of(std::size_t worker) const {
  view seen;
  if (worker >= count_) return seen;
  slot const& from = slots_[worker];
  // No memory is allocated under the lock.
  seen.method.resize(from.method.size());
  seen.path.resize(from.path.size());
  std::size_t method_size = 0;
  std::size_t path_size = 0;
  {
    std::lock_guard guard(from.mutex);
    seen.thread_id = from.thread_id;
    seen.busy = from.busy;
    seen.cut = from.cut;
    seen.ready = from.ready;
    seen.began = from.began;
    method_size = copy({from.method.data(), from.method_size}, seen.method);
    path_size = copy({from.path.data(), from.path_size}, seen.path);
  }
  seen.method.resize(method_size);
  seen.path.resize(path_size);
  return seen;
}

}  // namespace kino::server
