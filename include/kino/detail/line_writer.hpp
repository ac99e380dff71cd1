// SPDX-License-Identifier: MIT
//
// Writes bytes to a file descriptor that may be full, slow, closed or shared with other processes.

#pragma once

#include <kino/detail/line_output.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>
#include <ctime>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A sigpipe_guard blocks SIGPIPE in the calling thread, and discards one raised in the meantime.
class sigpipe_guard {
public:
  sigpipe_guard() noexcept {
    sigset_t waiting;
    sigemptyset(&mine_);
    sigaddset(&mine_, SIGPIPE);
    sigpending(&waiting);
    was_pending_ = sigismember(&waiting, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &mine_, &before_);
  }
  sigpipe_guard(sigpipe_guard const&) = delete;
  sigpipe_guard& operator=(sigpipe_guard const&) = delete;
  ~sigpipe_guard() {
    sigset_t waiting;
    sigpending(&waiting);
    int taken = 0;
    if (!was_pending_ && sigismember(&waiting, SIGPIPE) == 1) sigwait(&mine_, &taken);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

private:
  sigset_t mine_;
  sigset_t before_;
  bool was_pending_ = false;
};

/// A line_writer writes blocks of lines to a descriptor of the caller, or to a file that it opens by path.
///
/// It does not block in write(2) unless another process fills the same pipe at the same moment: it calls poll(2)
/// first, and writes at most PIPE_BUF bytes to a pipe, for which poll's answer holds.
///
/// After an error, the next block begins on a new line. A file is open in append mode, so a child may write to it, too.
class line_writer final : public line_output {
public:
  /// Writes to `descriptor`, which the caller owns.
  explicit line_writer(int descriptor) noexcept : descriptor_(descriptor) { look(); }
  /// Appends to the file at `path`, which is created if necessary. Throws std::system_error.
  explicit line_writer(std::string path) : path_(std::move(path)), descriptor_(open_file()) {
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), path_);
    look();
  }
  ~line_writer() override {
    if (!path_.empty() && descriptor() >= 0) ::close(descriptor());
  }

  [[nodiscard]] std::size_t block_size() const noexcept override { return regular_ ? 64 << 10 : PIPE_BUF; }
  [[nodiscard]] bool has_path() const noexcept override { return !path_.empty(); }
  [[nodiscard]] int descriptor() const noexcept {
    return descriptor_.load(std::memory_order_relaxed);  // see reopen
  }

  /// Whether the file has been renamed or removed.
  [[nodiscard]] bool moved() const noexcept override {
    struct stat mine {}, there {};
    if (path_.empty() || ::fstat(descriptor(), &mine) != 0) return false;
    return ::stat(path_.c_str(), &there) != 0 || mine.st_dev != there.st_dev || mine.st_ino != there.st_ino;
  }
  int reopen() noexcept override {
    if (path_.empty()) return 0;
    int const fresh = open_file();
    if (fresh < 0) return errno;
    // relaxed: other threads read it only in a child, which sees the old or the new number.
    int const old = descriptor_.exchange(fresh, std::memory_order_relaxed);
    if (old >= 0) ::close(old);
    look();
    return 0;
  }

  int write(std::string_view bytes, wait_function const& wait) override {
    if (torn_) {
      if (int const error = write_all("\n", wait)) return error;
      torn_ = false;
    }
    return write_all(bytes, wait);
  }

  [[nodiscard]] std::unique_ptr<line_output> in_child() const override {
    return std::unique_ptr<line_output>(new line_writer(path_, has_path() ? ::fcntl(descriptor(), F_DUPFD_CLOEXEC, 3) : descriptor()));
  }

private:
  line_writer(std::string path, int descriptor) noexcept : path_(std::move(path)), descriptor_(descriptor) { look(); }

  int write_all(std::string_view bytes, wait_function const& wait) {
    for (std::size_t done = 0; done < bytes.size();) {
      if (!regular_ && !writable()) {
        if (!wait(descriptor())) return ETIMEDOUT;
        continue;
      }
      std::size_t const next = std::min(bytes.size() - done, block_size());
      ssize_t const written = ::write(descriptor(), bytes.data() + done, next);
      if (written > 0) {
        done += static_cast<std::size_t>(written);
        torn_ = bytes[done - 1] != '\n';
        continue;
      }
      int const error = written == 0 ? EIO : errno;
      if (error == EINTR) continue;
      if (error != EAGAIN && error != EWOULDBLOCK) return error;
      if (!wait(descriptor())) return ETIMEDOUT;
    }
    return 0;
  }

  // An error counts as writable: write(2) reports it.
  [[nodiscard]] bool writable() const noexcept {
    pollfd one{descriptor(), POLLOUT, 0};
    return ::poll(&one, 1, 0) != 0;
  }
  [[nodiscard]] int open_file() const noexcept {
    // O_NONBLOCK: a FIFO without a reader is an error (ENXIO), and no reason to wait for one.
    return ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
  }
  void look() noexcept {
    struct stat about {};
    regular_ = ::fstat(descriptor(), &about) == 0 && S_ISREG(about.st_mode);
  }

  std::string path_;  // empty: the caller owns the descriptor
  std::atomic<int> descriptor_;
  bool regular_ = false;  // a regular file: always writable, in large blocks
  bool torn_ = false;     // the last write ended within a line
};

}  // namespace detail
KINO_NAMESPACE_END
