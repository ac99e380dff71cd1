// SPDX-License-Identifier: MIT
//
// Unlinked temporary files.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>

namespace kino::server {

/// temporary_files creates files without a name, which vanish with their descriptor, even if the
/// process is killed.
///
/// Virtual, so tests can simulate a full or broken disk.
///
/// Threads: any.  Blocks: as the file system does.
class temporary_files {
public:
  /// Files in `directory`; by default in $TMPDIR, or /tmp without it.
  explicit temporary_files(std::string directory = default_directory());
  virtual ~temporary_files() = default;

  [[nodiscard]] std::string const& directory() const { return directory_; }

  /// Returns a descriptor of a new, empty file. Throws std::system_error naming the directory.
  [[nodiscard]] virtual int open() const;
  /// Like pwrite and pread: the number of bytes, or -1 with errno.
  virtual ssize_t write(int file, char const* bytes, std::size_t length, std::uint64_t at) const;
  virtual ssize_t read(int file, char* bytes, std::size_t length, std::uint64_t at) const;
  /// Returns the space of this part of the file to the file system. False where that is not supported.
  [[nodiscard]] virtual bool discard(int file, std::uint64_t at, std::uint64_t length) const noexcept;
  /// Makes the file empty.
  virtual void truncate(int file) const noexcept;
  virtual void close(int file) const noexcept;

  [[nodiscard]] static std::string default_directory();

private:
  std::string const directory_;
};

}  // namespace kino::server
