// SPDX-License-Identifier: MIT

#include "http/body_spool.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace kino::server {

namespace {

[[noreturn]] void fail(int error, char const* what, temporary_files const& files) {
  throw std::system_error(error, std::generic_category(),
                          std::string("kino: cannot ") + what +
                              " a request body's temporary file in " + files.directory());
}

}  // namespace

void body_spool::begin(temporary_files const& files, std::size_t memory) {
  files_ = &files;
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
  if (file_ < 0) file_ = files_->open();
  std::string_view rest = memory_.view();
  std::uint64_t at = stored_;
  while (!rest.empty()) {
    ssize_t const written = files_->write(file_, rest.data(), rest.size(), at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(written < 0 ? errno : EIO, "write", *files_);
    at += static_cast<std::uint64_t>(written);
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  stored_ = at;
  memory_.clear(SIZE_MAX);
}

body_spool::part body_spool::claim(std::size_t most) noexcept {
  part const claimed{claimed_, static_cast<std::size_t>(std::min<std::uint64_t>(most, left()))};
  claimed_ += claimed.length;
  return claimed;
}

void body_spool::copy(part const& from, char* out) const {
  std::uint64_t at = from.at;
  std::size_t left = from.length;
  while (left != 0 && at < stored_) {
    std::size_t const wanted = std::min<std::uint64_t>(left, stored_ - at);
    ssize_t const got = files_->read(file_, out, wanted, at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail(got < 0 ? errno : EIO, "read", *files_);
    at += static_cast<std::uint64_t>(got);
    out += got;
    left -= static_cast<std::size_t>(got);
  }
  if (left != 0) std::memcpy(out, memory_.data() + (at - stored_), left);
}

void body_spool::close() noexcept {
  if (file_ >= 0) files_->close(std::exchange(file_, -1));
}

void body_spool::reset(std::size_t keep) noexcept {
  close();
  memory_.clear(keep);
  stored_ = claimed_ = 0;
}

}  // namespace kino::server
