// SPDX-License-Identifier: MIT
//
// Sends lines to a daemon's Unix socket, each as one datagram.

#pragma once

#include <kino/detail/line_output.hpp>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>

KINO_NAMESPACE_BEGIN
namespace detail {

/// The Unix datagram socket of a daemon.
struct datagram_target {
  /// The path of the socket.
  std::string path;
  /// Appends the datagram for a line, which comes without its line feed. May throw; the line is then lost. Empty: the
  /// line itself is the datagram.
  std::function<void(std::string& datagram, std::string_view line)> wrap = nullptr;
};

/// A datagram_writer sends each line to the daemon that has bound the socket at a path.
///
/// It never blocks in send(2): a daemon whose queue is full is waited for with poll(2), by `wait`. If the daemon has gone,
/// `write` fails (ECONNREFUSED), and `reopen` finds the one that has replaced it.
///
/// Fork: a child's writer connects with its first line.
class datagram_writer final : public line_output {
public:
  /// Throws std::system_error if no daemon has bound the path.
  explicit datagram_writer(datagram_target target) : target_(std::move(target)) {
    if (int const error = reopen()) throw std::system_error(error, std::generic_category(), target_.path);
  }
  ~datagram_writer() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  [[nodiscard]] std::size_t block_size() const noexcept override { return 0; }
  [[nodiscard]] bool has_path() const noexcept override { return true; }

  [[nodiscard]] bool moved() const noexcept override {
    struct stat there {};
    return descriptor_ >= 0 &&
           (::stat(target_.path.c_str(), &there) != 0 || there.st_dev != device_ || there.st_ino != inode_);
  }

  int reopen() noexcept override {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (target_.path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
    std::memcpy(address.sun_path, target_.path.data(), target_.path.size());
    struct stat there {};
    if (::stat(target_.path.c_str(), &there) != 0) return errno;
    int const fresh = open_socket();
    if (fresh < 0) return errno;
    if (::connect(fresh, reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0) {
      int const error = errno;
      ::close(fresh);
      return error;
    }
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = fresh;
    device_ = there.st_dev;
    inode_ = there.st_ino;
    return 0;
  }

  int write(std::string_view line, wait_function const& wait) override {
    if (line.empty()) return 0;
    if (line.back() == '\n') line.remove_suffix(1);
    if (target_.wrap) {
      datagram_.clear();
      try {
        target_.wrap(datagram_, line);
      } catch (std::exception const&) {
        return ENOMEM;
      }
      line = datagram_;
    }
    while (descriptor_ >= 0) {  // `wait` may reopen it
      if (::send(descriptor_, line.data(), line.size(), MSG_DONTWAIT) >= 0) return 0;
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return errno;
      if (!wait(descriptor_)) return ETIMEDOUT;
    }
    return ENOTCONN;
  }

  [[nodiscard]] std::unique_ptr<line_output> in_child() const override {
    return std::unique_ptr<line_output>(new datagram_writer(unconnected{}, target_));
  }

private:
  struct unconnected {};
  datagram_writer(unconnected, datagram_target target) : target_(std::move(target)) {}

#ifdef SOCK_CLOEXEC
  static int open_socket() noexcept { return ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); }
#else
  // A program that another thread starts between the two calls inherits the socket; this cannot be avoided here.
  static int open_socket() noexcept {
    int const fresh = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fresh >= 0) ::fcntl(fresh, F_SETFD, FD_CLOEXEC);
    return fresh;
  }
#endif

  datagram_target target_;
  int descriptor_ = -1;
  dev_t device_{};  // of the path when it was connected to
  ino_t inode_{};
  std::string datagram_;
};

}  // namespace detail
KINO_NAMESPACE_END
