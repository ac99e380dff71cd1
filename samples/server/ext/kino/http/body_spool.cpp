// SPDX-License-Identifier: MIT

#include "http/body_spool.hpp"

#include <algorithm>
#include <cstring>

namespace kino::server {

void body_spool::begin(spool_file& file, std::size_t memory) {
  stored_.use(file);
  limit_ = std::max<std::size_t>(memory, 1);
}

std::span<char> body_spool::prepare(std::size_t wanted) {
  if (memory_.size() >= limit_) spill();
  std::size_t const room = std::min(wanted, limit_ - memory_.size());
  return {memory_.prepare(room), room};
}

void body_spool::append(std::string_view bytes) {
  while (!bytes.empty()) {
    std::span<char> const room = prepare(bytes.size());
    std::memcpy(room.data(), bytes.data(), room.size());
    commit(room.size());
    bytes.remove_prefix(room.size());
  }
}

// Moves what is in memory to the end of the file.
void body_spool::spill() {
  stored_.append(memory_.view());
  memory_.clear(SIZE_MAX);
}

body_spool::part body_spool::claim(std::size_t most) noexcept {
  part const claimed{claimed_, static_cast<std::size_t>(std::min<std::uint64_t>(most, left()))};
  claimed_ += claimed.length;
  return claimed;
}

void body_spool::copy(part const& from, char* out) const {
  std::uint64_t const stored = stored_.size();
  std::size_t in_file = 0;
  if (from.at < stored) {
    in_file = static_cast<std::size_t>(std::min<std::uint64_t>(from.length, stored - from.at));
    stored_.read(from.at, out, in_file);
  }
  std::size_t const left = from.length - in_file;
  if (left != 0) std::memcpy(out + in_file, memory_.data() + (from.at + in_file - stored), left);
}

void body_spool::reset(std::size_t keep) noexcept {
  stored_.clear();
  memory_.clear(keep);
  claimed_ = 0;
}

}  // namespace kino::server
