// SPDX-License-Identifier: MIT
//
// System calls on sockets that differ between systems. KINO_ONLY_POSIX selects the calls that every
// system has, so this branch can be tested on any system.

#pragma once

#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#ifdef __linux__
#include <linux/filter.h>
#endif

#if !defined(KINO_ONLY_POSIX) && defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
#define KINO_SOCKET_FLAGS 1
#endif

namespace kino::server {

/// Makes a socket non-blocking, closed by exec, and silent where sending would raise SIGPIPE.
/// Returns `socket`, or -1 with errno after closing it.
inline int set_up_socket(int socket) noexcept {
  if (socket < 0) return -1;
#ifdef SO_NOSIGPIPE
  int const on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
#ifndef KINO_SOCKET_FLAGS
  // A program that another thread starts between the two calls inherits the socket; this cannot be
  // avoided here.
  int const flags = ::fcntl(socket, F_GETFL);
  if (::fcntl(socket, F_SETFD, FD_CLOEXEC) != 0 || flags < 0 ||
      ::fcntl(socket, F_SETFL, flags | O_NONBLOCK) != 0) {
    int const error = errno;
    ::close(socket);
    errno = error;
    return -1;
  }
#endif
  return socket;
}

/// A new stream socket, set up; -1 with errno.
inline int open_socket(int family) noexcept {
#ifdef KINO_SOCKET_FLAGS
  return set_up_socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
#else
  return set_up_socket(::socket(family, SOCK_STREAM, 0));
#endif
}

/// Two connected stream sockets, set up; returns whether there are any, else errno says why not.
inline bool open_socket_pair(int (&ends)[2]) noexcept {
#ifdef KINO_SOCKET_FLAGS
  return ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0;
#else
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return false;
  ends[0] = set_up_socket(ends[0]);
  ends[1] = set_up_socket(ends[1]);
  if (ends[0] >= 0 && ends[1] >= 0) return true;
  int const error = errno;
  for (int const end : ends) {
    if (end >= 0) ::close(end);
  }
  errno = error;
  return false;
#endif
}

/// A descriptor of the socket that another one refers to, set up; -1 with errno. What is set up holds for both.
inline int duplicate_socket(int socket) noexcept {
  int const copy = ::fcntl(socket, F_DUPFD_CLOEXEC, 3);
  int const flags = copy < 0 ? -1 : ::fcntl(copy, F_GETFL);
  if (copy < 0 || flags < 0 || ::fcntl(copy, F_SETFL, flags | O_NONBLOCK) == 0) return set_up_socket(copy);
  int const error = errno;
  ::close(copy);
  errno = error;
  return -1;
}

/// The next connection of `listening`, set up, and its address; -1 with errno.
inline int accept_socket(int listening, sockaddr_storage& from) noexcept {
  socklen_t length = sizeof from;
  auto* const address = reinterpret_cast<sockaddr*>(&from);
#ifdef KINO_SOCKET_FLAGS
  return set_up_socket(::accept4(listening, address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK));
#else
  return set_up_socket(::accept(listening, address, &length));
#endif
}

/// Lets the system refuse or ignore new connections to `listening`, a socket from which no process will accept them, while those that it
/// has accepted can still be taken. A client that is ignored tries again after a second. Does nothing where the system cannot.
inline void refuse_new_connections(int listening, bool tcp) noexcept {
#if defined(__linux__) && !defined(KINO_ONLY_POSIX)
  if (!tcp) {
    ::shutdown(listening, SHUT_RD);  // for a Unix socket; a TCP socket would drop what waits in it
    return;
  }
  // A segment with SYN and without ACK is dropped. The filter sees it from the TCP header on.
  sock_filter code[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
                        BPF_STMT(BPF_RET | BPF_K, 0xffffffff)};
  sock_fprog const program{sizeof code / sizeof *code, code};
  ::setsockopt(listening, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
#else
  static_cast<void>(listening);
  static_cast<void>(tcp);
#endif
}

/// Reserves a descriptor for use when the process has none left; -1 if there is none.
class spare_descriptor {
public:
  spare_descriptor() noexcept { refill(); }
  spare_descriptor(spare_descriptor const&) = delete;
  ~spare_descriptor() { static_cast<void>(release()); }

  /// Reserves one again; returns whether there is one now.
  bool refill() noexcept {
    if (descriptor_ < 0) descriptor_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    return descriptor_ >= 0;
  }
  /// Frees it; returns whether there was one.
  [[nodiscard]] bool release() noexcept {
    return descriptor_ >= 0 && ::close(std::exchange(descriptor_, -1)) == 0;
  }

private:
  int descriptor_ = -1;
};

}  // namespace kino::server
