// SPDX-License-Identifier: MIT

#include "base/spooled_bytes.hpp"

#include <algorithm>

namespace kino::server {

namespace {

constexpr std::uint64_t extent_size = spool_file::extent_size;
// Number of extents for which an empty sequence keeps memory.
constexpr std::size_t kept_capacity = 64;

// How many of `left` bytes from `position` on lie in the same extent.
std::size_t run_at(std::uint64_t position, std::uint64_t left) {
  return static_cast<std::size_t>(std::min(left, extent_size - position % extent_size));
}

}  // namespace

void spooled_bytes::append(std::string_view bytes) {
  std::uint64_t at = end_;
  try {
    while (!bytes.empty()) {
      if (at / extent_size == extents_.size()) {
        if (extents_.capacity() == extents_.size()) extents_.reserve(2 * extents_.size() + 1);
        extents_.push_back(file_->acquire());
      }
      std::size_t const run = run_at(at, bytes.size());
      file_->write(extents_[at / extent_size], at % extent_size, bytes.substr(0, run));
      at += run;
      bytes.remove_prefix(run);
    }
  } catch (...) {
    std::size_t const needed = (end_ + extent_size - 1) / extent_size;
    for (; extents_.size() > needed; extents_.pop_back()) file_->release(extents_.back());
    throw;
  }
  end_ = at;
}

void spooled_bytes::read(std::uint64_t at, char* out, std::size_t length) const {
  at += start_;
  while (length != 0) {
    std::size_t const run = run_at(at, length);
    file_->read(extents_[at / extent_size], at % extent_size, out, run);
    at += run;
    out += run;
    length -= run;
  }
}

void spooled_bytes::consume(std::uint64_t length) noexcept {
  start_ += length;
  if (start_ == end_) return clear();
  release_first(static_cast<std::size_t>(start_ / extent_size));
}

void spooled_bytes::clear() noexcept {
  release_first(extents_.size());
  if (extents_.capacity() > kept_capacity) std::vector<spool_file::extent>().swap(extents_);
  start_ = end_ = 0;
}

void spooled_bytes::release_first(std::size_t extents) noexcept {
  if (extents == 0) return;
  for (std::size_t i = 0; i != extents; ++i) file_->release(extents_[i]);
  extents_.erase(extents_.begin(), extents_.begin() + static_cast<std::ptrdiff_t>(extents));
  start_ -= std::min(start_, extents * extent_size);
  end_ -= std::min(end_, extents * extent_size);
}

}  // namespace kino::server
