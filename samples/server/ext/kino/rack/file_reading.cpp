// SPDX-License-Identifier: MIT

#include "rack/file_reading.hpp"

#include <kino/extension.hpp>
#include <kino/wait.hpp>

#include <cerrno>
#include <string>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>

namespace kino::server {

namespace {

// Reads a piece of a file that is in the system's cache, at once; none if it is not.
ssize_t read_cached([[maybe_unused]] int descriptor, [[maybe_unused]] std::span<char> into, [[maybe_unused]] std::uint64_t offset) {
#ifdef RWF_NOWAIT
  iovec piece{into.data(), into.size()};
  return ::preadv2(descriptor, &piece, 1, static_cast<off_t>(offset), RWF_NOWAIT);
#else
  return -1;
#endif
}

}  // namespace

std::size_t read_file(gvl const& held, int descriptor, std::span<char> into, std::uint64_t offset) {
  ssize_t got = read_cached(descriptor, into, offset);
  int error = 0;
  if (got <= 0) {
    kino::without_gvl(held, [&] {
      do {
        got = ::pread(descriptor, into.data(), into.size(), static_cast<off_t>(offset));
      } while (got < 0 && errno == EINTR);
      error = errno;
    }, kino::uninterruptible);
  }
  if (got < 0) throw std::system_error(error, std::generic_category(), "kino: cannot read the file of a response, " + path_of_file(descriptor));
  if (got == 0) throw kino::raise(rb_eEOFError, "kino: the file of a response has become shorter while it was sent: " + path_of_file(descriptor));
  return static_cast<std::size_t>(got);
}

std::optional<file_range> range_of(gvl const& held, int descriptor, std::uint64_t offset, std::uint64_t length) {
  char first = 0;
  if (read_cached(descriptor, {&first, 1}, offset) == 1) return file_range::of(descriptor, offset, length);
  std::optional<file_range> made;
  kino::without_gvl(held, [&] { made = file_range::of(descriptor, offset, length); }, kino::uninterruptible);
  return made;
}

}  // namespace kino::server
