// SPDX-License-Identifier: MIT

#include "base/file_range.hpp"

#include "base/options.hpp"

#include <algorithm>
#include <climits>
#include <fcntl.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/magic.h>
#include <sys/vfs.h>
#endif

namespace kino::server {

namespace {

// Whether reads of the file wait for its disk at most.
bool is_local(int descriptor) noexcept {
#ifdef __linux__
  struct statfs found{};
  if (::fstatfs(descriptor, &found) != 0) return false;
  switch (static_cast<std::uint32_t>(found.f_type)) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case CEPH_SUPER_MAGIC:
    case AFS_SUPER_MAGIC:
    case AFS_FS_MAGIC:
    case CODA_SUPER_MAGIC:
    case V9FS_MAGIC:
    case FUSE_SUPER_MAGIC: return false;
    default: return true;
  }
#else
  static_cast<void>(descriptor);
  return false;
#endif
}

}  // namespace

file_range& file_range::operator=(file_range&& other) noexcept {
  if (this == &other) return *this;
  close();
  descriptor_ = std::exchange(other.descriptor_, -1);
  offset_ = other.offset_;
  left_ = std::exchange(other.left_, 0);
  return *this;
}

std::optional<file_range> file_range::of(int descriptor, std::uint64_t offset, std::uint64_t length) noexcept {
  if (!is_local(descriptor)) return std::nullopt;
  file_range made;
  made.descriptor_ = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (made.descriptor_ < 0) return std::nullopt;
  made.offset_ = offset;
  made.left_ = length;
#ifdef POSIX_FADV_WILLNEED
  // The disk begins to read now, and reads ahead of what is sent.
  static_cast<void>(::posix_fadvise(made.descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL));
  auto const first = std::min<std::uint64_t>(length, 2 * tuning::file_slice);
  static_cast<void>(::posix_fadvise(made.descriptor_, static_cast<off_t>(offset), static_cast<off_t>(first), POSIX_FADV_WILLNEED));
#endif
  return made;
}

void file_range::close() noexcept {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  left_ = 0;
}

std::string path_of_file(int descriptor) {
#ifdef F_GETPATH
  std::string path(PATH_MAX, '\0');
  if (::fcntl(descriptor, F_GETPATH, path.data()) < 0) return {};
  path.resize(path.find('\0'));
#else
  std::string path(4096, '\0');
  ssize_t const length = ::readlink(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), path.data(), path.size());
  path.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
#endif
  return path;
}

}  // namespace kino::server
