// SPDX-License-Identifier: MIT
//
// Temporary files on a disk that fails on request, with counts of what is done.

#pragma once

#include "base/spool_file.hpp"
#include "base/temporary_files.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>

/// A disk whose `open`, `write` or `read` fails with the given errno; 0 for success.
/// Threads: any.
class broken_disk final : public kino::server::temporary_files {
public:
  std::atomic<int> open_error{0};
  std::atomic<int> write_error{0};
  std::atomic<int> read_error{0};
  /// Writes and reads transfer at most this many bytes at a time.
  std::atomic<std::size_t> most{SIZE_MAX};
  /// The numbers of files that are open, and that have ever been opened.
  mutable std::atomic<int> now_open{0};
  mutable std::atomic<int> opened{0};
  /// Calls of `write`, `discard` and `truncate`.
  mutable std::atomic<std::size_t> writes{0};
  mutable std::atomic<std::size_t> discards{0};
  mutable std::atomic<std::size_t> truncations{0};
  /// Whether the disk can discard parts of a file.
  std::atomic<bool> discards_parts{true};

  int open() const override {
    if (open_error != 0) {
      throw std::system_error(open_error, std::generic_category(), "a broken disk");
    }
    int const file = temporary_files::open();
    ++now_open;
    ++opened;
    return file;
  }
  ssize_t write(int file, char const* bytes, std::size_t length, std::uint64_t at) const override {
    ++writes;
    if (fails(write_error)) return -1;
    return temporary_files::write(file, bytes, std::min(length, most.load()), at);
  }
  ssize_t read(int file, char* bytes, std::size_t length, std::uint64_t at) const override {
    if (fails(read_error)) return -1;
    return temporary_files::read(file, bytes, std::min(length, most.load()), at);
  }
  bool discard(int file, std::uint64_t at, std::uint64_t length) const noexcept override {
    ++discards;
    return discards_parts && temporary_files::discard(file, at, length);
  }
  void truncate(int file) const noexcept override {
    ++truncations;
    temporary_files::truncate(file);
  }
  void close(int file) const noexcept override {
    temporary_files::close(file);
    --now_open;
  }

private:
  static bool fails(int error) {
    if (error != 0) errno = error;
    return error != 0;
  }
};

/// A spool_file whose disk can be broken.
struct broken_spool {
  std::shared_ptr<broken_disk> const disk = std::make_shared<broken_disk>();
  kino::server::spool_file file{disk};
};
