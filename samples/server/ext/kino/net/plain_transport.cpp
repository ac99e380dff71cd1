// SPDX-License-Identifier: MIT

#include "net/plain_transport.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <new>
#include <sys/ioctl.h>
#include <sys/socket.h>
#ifdef __linux__
#include <linux/sockios.h>
#include <sys/sendfile.h>
#endif
#include <unistd.h>
#include <utility>

namespace kino::server {

namespace {

io_result failure(io_result::state if_full) {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {if_full};
  return {io_result::state::failed};
}

}  // namespace

std::unique_ptr<transport> plain_transport::own(int socket) {
  auto* const made = new (std::nothrow) plain_transport(socket);
  if (made) return std::unique_ptr<transport>(made);
  ::close(socket);
  throw std::bad_alloc();
}

plain_transport::~plain_transport() {
  if (socket_ >= 0) close(ending::orderly);
}

io_result plain_transport::read_some(std::span<char> into) noexcept {
  ssize_t got = 0;
  do {
    got = ::recv(socket_, into.data(), into.size(), MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got > 0) return {io_result::state::done, static_cast<std::size_t>(got)};
  if (got == 0) return {io_result::state::end};
  return failure(io_result::state::wants_readable);
}

io_result plain_transport::write_some(std::span<iovec const> pieces) noexcept {
#ifdef MSG_NOSIGNAL
  constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
  constexpr int flags = MSG_DONTWAIT;  // set_up_socket has switched SIGPIPE off.
#endif
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());  // only read
  message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(pieces.size());
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket_, &message, flags);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return {io_result::state::done, static_cast<std::size_t>(sent)};
  return failure(io_result::state::wants_writable);
}

#ifdef __linux__
io_result plain_transport::send_file(int file, std::uint64_t offset, std::size_t length) noexcept {
  auto at = static_cast<off_t>(offset);
  ssize_t sent = 0;
  do {
    sent = ::sendfile(socket_, file, &at, length);  // the socket does not block
  } while (sent < 0 && errno == EINTR);
  if (sent > 0) return {io_result::state::done, static_cast<std::size_t>(sent)};
  if (sent == 0 || errno == EIO || errno == EINVAL || errno == EOVERFLOW) return {io_result::state::end};
  return failure(io_result::state::wants_writable);
}
#endif

void plain_transport::shutdown_write() noexcept { ::shutdown(socket_, SHUT_WR); }

void plain_transport::close(ending how) noexcept {
  if (how == ending::reset) {
    ::linger const at_once{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  ::close(std::exchange(socket_, -1));
}

int plain_transport::duplicate() const noexcept { return ::fcntl(socket_, F_DUPFD_CLOEXEC, 0); }

std::uint64_t plain_transport::unacknowledged() const noexcept {
  int bytes = 0;
#if defined(SIOCOUTQ)
  if (::ioctl(socket_, SIOCOUTQ, &bytes) != 0) return 0;
#elif defined(SO_NWRITE)
  socklen_t length = sizeof bytes;
  if (::getsockopt(socket_, SOL_SOCKET, SO_NWRITE, &bytes, &length) != 0) return 0;
#endif
  return static_cast<std::uint64_t>(std::max(bytes, 0));
}

}  // namespace kino::server
