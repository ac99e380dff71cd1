// SPDX-License-Identifier: MIT

#include "base/process_places.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <new>
#include <sys/mman.h>
#include <system_error>

namespace kino::server {

namespace {

void* shared_memory(std::size_t size) {
  void* const made = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (made == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "kino: cannot get memory for several processes");
  return made;
}

}  // namespace

process_places::process_places(std::size_t count)
    : size_(count), head_(new (shared_memory(bytes())) head{}), all_(reinterpret_cast<place*>(head_ + 1)) {
  for (std::size_t i = 0; i != size_; ++i) new (&all_[i]) place{};
}

process_places::~process_places() { ::munmap(head_, bytes()); }

void process_places::accepts(std::size_t at, bool now) noexcept {
  all_[at].accepts.store(now, relaxed);
  auto used = head_->used.load(relaxed);
  while (now && used <= at && !head_->used.compare_exchange_weak(used, static_cast<std::uint32_t>(at + 1), relaxed)) {
  }
}

void process_places::vacate(std::size_t at) noexcept {
  accepts(at, false);
  stuck(at, false);
  all_[at].connections.store(0, relaxed);
}

bool process_places::ahead(std::size_t at) const noexcept {
  std::uint32_t fewest = std::numeric_limits<std::uint32_t>::max();
  std::size_t const used = head_->used.load(relaxed);
  for (std::size_t i = 0; i != used; ++i) {
    if (i != at && all_[i].accepts.load(relaxed)) fewest = std::min(fewest, all_[i].connections.load(relaxed));
  }
  return fewest != std::numeric_limits<std::uint32_t>::max() && all_[at].connections.load(relaxed) > fewest + fewest / 8;
}

bool process_places::all_stuck() const noexcept {
  bool any = false;
  std::size_t const used = head_->used.load(relaxed);
  for (std::size_t i = 0; i != used; ++i) {
    if (!all_[i].accepts.load(relaxed)) continue;
    if (!all_[i].stuck.load(relaxed)) return false;
    any = true;
  }
  return any;
}

}  // namespace kino::server
