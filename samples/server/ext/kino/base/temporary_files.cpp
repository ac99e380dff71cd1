// SPDX-License-Identifier: MIT

#include "base/temporary_files.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace kino::server {

namespace {

// Where the kernel or the file system cannot make a file without a name: one whose name is
// removed at once.
int open_and_unlink(std::string const& directory) {
  std::string name = directory + "/kino-XXXXXX";
  int const file = ::mkstemp(name.data());
  if (file < 0) return file;
  ::unlink(name.c_str());
  ::fcntl(file, F_SETFD, FD_CLOEXEC);
  return file;
}

}  // namespace

std::string temporary_files::default_directory() {
  char const* const named = std::getenv("TMPDIR");
  return named && *named ? named : "/tmp";
}

temporary_files::temporary_files(std::string directory) : directory_(std::move(directory)) {}

int temporary_files::open() const {
#ifdef O_TMPFILE
  int file = ::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  // EISDIR: a kernel without O_TMPFILE; EOPNOTSUPP: a file system without it.
  if (file < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    file = open_and_unlink(directory_);
  }
#else
  int const file = open_and_unlink(directory_);
#endif
  if (file >= 0) return file;
  throw std::system_error(errno, std::generic_category(),
                          "kino: cannot create a temporary file in " + directory_);
}

ssize_t temporary_files::write(int file, char const* bytes, std::size_t length,
                               std::uint64_t at) const {
  return ::pwrite(file, bytes, length, static_cast<off_t>(at));
}

ssize_t temporary_files::read(int file, char* bytes, std::size_t length, std::uint64_t at) const {
  return ::pread(file, bytes, length, static_cast<off_t>(at));
}

bool temporary_files::discard(int file, std::uint64_t at, std::uint64_t length) const noexcept {
#if defined(FALLOC_FL_PUNCH_HOLE) && !defined(KINO_ONLY_POSIX)
  return ::fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(at),
                     static_cast<off_t>(length)) == 0;
#else
  static_cast<void>(file), static_cast<void>(at), static_cast<void>(length);
  return false;
#endif
}

void temporary_files::truncate(int file) const noexcept {
  // If this fails, the space is used again.
  static_cast<void>(!::ftruncate(file, 0));
}

void temporary_files::close(int file) const noexcept { ::close(file); }

}  // namespace kino::server
