// SPDX-License-Identifier: MIT

#include "base/spool_file.hpp"

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

namespace kino::server {

namespace {

constexpr std::uint64_t position(spool_file::extent one, std::size_t offset) {
  return std::uint64_t{one} * spool_file::extent_size + offset;
}

}  // namespace

spool_file::~spool_file() {
  if (file_ >= 0) files_->close(file_);
}

spool_file::extent spool_file::acquire() {
  expect_same_process();
  std::lock_guard guard(mutex_);
  for (std::vector<extent>* released : {&with_space_, &without_space_}) {
    if (released->empty()) continue;
    extent const again = released->back();
    released->pop_back();
    ++lent_;
    return again;
  }
  // Room for each extent in either list, so `release` does not allocate.
  for (std::vector<extent>* released : {&with_space_, &without_space_}) {
    if (released->capacity() <= count_) released->reserve(2 * std::size_t{count_} + kept);
  }
  if (file_ < 0) file_ = files_->open();
  ++lent_;
  return count_++;
}

void spool_file::release(extent one) noexcept {
  if (born_.forked()) return;
  {
    std::lock_guard guard(mutex_);
    if (!returns_space_ || with_space_.size() < kept) {
      with_space_.push_back(one);
      if (--lent_ != 0 || returns_space_) return;
      // Under the lock, so that nothing is lent meanwhile.
      files_->truncate(file_);
      with_space_.clear();
      without_space_.clear();
      count_ = 0;
      return;
    }
  }
  // Still lent, so no other thread writes to it.
  bool const returned = files_->discard(file_, position(one, 0), extent_size);
  std::lock_guard guard(mutex_);
  --lent_;
  returns_space_ = returned;
  (returned ? without_space_ : with_space_).push_back(one);
}

void spool_file::write(extent to, std::size_t offset, std::string_view bytes) {
  expect_same_process();
  while (!bytes.empty()) {
    ssize_t const written = files_->write(file_, bytes.data(), bytes.size(), position(to, offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(written < 0 ? errno : EIO, "write to");
    offset += static_cast<std::size_t>(written);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  failing_.store(false, std::memory_order_relaxed);  // see report_failure
}

void spool_file::read(extent from, std::size_t offset, char* out, std::size_t length) const {
  expect_same_process();
  while (length != 0) {
    ssize_t const got = files_->read(file_, out, length, position(from, offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail(got < 0 ? errno : EIO, "read");
    offset += static_cast<std::size_t>(got);
    out += got;
    length -= static_cast<std::size_t>(got);
  }
}

std::size_t spool_file::lent() const {
  if (born_.forked()) return 0;
  std::lock_guard guard(mutex_);
  return lent_;
}

// The parent may have given the extent to another request.
void spool_file::expect_same_process() const {
  if (!born_.forked()) return;
  throw std::runtime_error("kino: a forked child cannot use the temporary file of its parent: read the request body before "
                           "the fork");
}

void spool_file::fail(int error, char const* what) const {
  throw std::system_error(error, std::generic_category(),
                          std::string("kino: cannot ") + what + " the temporary file in " + files_->directory());
}

}  // namespace kino::server
