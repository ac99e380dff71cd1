// SPDX-License-Identifier: MIT

#include "base/connection_shares.hpp"

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

connection_shares::connection_shares(std::size_t places)
    : places_(places), all_(static_cast<share*>(shared_memory(std::max<std::size_t>(1, places) * sizeof(share)))) {
  for (std::size_t i = 0; i != places_; ++i) new (&all_[i]) share{};
}

connection_shares::~connection_shares() { ::munmap(all_, std::max<std::size_t>(1, places_) * sizeof(share)); }

void connection_shares::vacate(std::size_t place) noexcept {
  accepts(place, false);
  all_[place].connections.store(0, relaxed);
}

bool connection_shares::ahead(std::size_t place) const noexcept {
  std::uint32_t fewest = std::numeric_limits<std::uint32_t>::max();
  for (std::size_t i = 0; i != places_; ++i) {
    if (i != place && all_[i].accepts.load(relaxed)) fewest = std::min(fewest, all_[i].connections.load(relaxed));
  }
  return fewest != std::numeric_limits<std::uint32_t>::max() && all_[place].connections.load(relaxed) > fewest + fewest / 8;
}

}  // namespace kino::server
