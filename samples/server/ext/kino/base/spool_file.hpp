// SPDX-License-Identifier: MIT
//
// One temporary file in which many byte sequences have their places.

#pragma once

#include "base/temporary_files.hpp"

#include <kino/fork_mark.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace kino::server {

/// A spool_file lends extents of one unlinked file, because creating a file for each request body costs
/// more than writing to it, and on ext4 the more, the more unlinked files are open.
///
/// An extent is a range of addresses: it takes space on the disk as far as it is written to. Released
/// extents are lent again, the last `kept` ones with their space; that of all others is returned to the
/// file system at once. Where it does not support that, the file is emptied when no extent is lent.
///
/// Threads: any; an extent belongs to one borrower. Readers of an extent need no lock.
/// Blocks:  as the file system does.
/// Throws:  std::system_error naming the directory, if the file cannot be created, written or read;
///          std::bad_alloc, from `acquire`. Both leave everything as it was.
/// Fork:    the child shares the file with its parent. There, `read`, `write` and `acquire` throw
///          std::runtime_error, and the rest does nothing.
class spool_file {
public:
  using extent = std::uint32_t;
  static constexpr std::size_t extent_size = 1 << 20;
  /// Released extents that keep their space on the disk; writing to it again is cheaper.
  static constexpr std::size_t kept = 16;

  /// `files` creates the file, when the first extent is needed.
  explicit spool_file(std::shared_ptr<temporary_files const> files) noexcept : files_(std::move(files)) {}
  spool_file(spool_file const&) = delete;
  ~spool_file();

  [[nodiscard]] extent acquire();
  void release(extent one) noexcept;
  /// Writes `bytes` from `offset` on, which must fit.
  void write(extent to, std::size_t offset, std::string_view bytes);
  /// Reads `length` written bytes from `offset` on.
  void read(extent from, std::size_t offset, char* out, std::size_t length) const;

  /// Whether a failure to write is the first one since the last success, so that one line is logged for all.
  [[nodiscard]] bool report_failure() noexcept {
    // relaxed: only to limit a log.
    return !failing_.exchange(true, std::memory_order_relaxed);
  }

  /// Number of extents that are lent.
  [[nodiscard]] std::size_t lent() const;

private:
  void expect_same_process() const;
  [[noreturn]] void fail(int error, char const* what) const;

  std::shared_ptr<temporary_files const> const files_;
  kino::fork_mark const born_;
  std::atomic<bool> failing_{false};
  mutable std::mutex mutex_;
  // Guarded by the mutex; file_ is set before the first extent is lent, and then constant.
  int file_ = -1;
  bool returns_space_ = true;      // the file system can do that, as far as is known
  extent count_ = 0;               // extents of the file
  std::size_t lent_ = 0;
  std::vector<extent> with_space_;  // released ones; both have room for all
  std::vector<extent> without_space_;
};

}  // namespace kino::server
