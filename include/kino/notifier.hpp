// SPDX-License-Identifier: MIT
//
// notifier: a file descriptor that becomes readable, to end a wait in poll or epoll.

#pragma once

#include <kino/fork_mark.hpp>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#if defined(__linux__) && !defined(KINO_NOTIFIER_WITH_PIPE)
#include <sys/eventfd.h>
#endif

KINO_NAMESPACE_BEGIN

/// A notifier is readable, for poll, epoll, kqueue or select, from `notify` until `consume`.
///
/// Notifications do not add up: any number of them before a `consume` are one. It is an eventfd
/// where there is one, else a pipe; only the first notification makes a system call. Destroy it
/// when nobody can notify or poll any more.
///
/// Threads: `notify` any; `consume` the one that polls.
/// GVL:     not needed.
/// Blocks:  never.
/// Throws:  std::system_error, from the constructor: no descriptor is left.
/// Signals: `notify` may be called in a signal handler.
/// Fork:    a child shares the descriptor with its parent. There `notify` and `consume` do nothing:
///          they would wake, or rob, the parent. Make a new one.
/// Order:   what happened before `notify` is visible after the `consume` that returns true.
///
/// Example:
///
///     #include <poll.h>
///     kino::notifier wake;
///     kino::native_thread poller([&](std::stop_token stop) {
///       std::stop_callback on_stop(stop, [&] { wake.notify(); });
///       pollfd watched[] = {{wake.fd(), POLLIN, 0}};  // and sockets
///       while (!stop.stop_requested()) {
///         poll(watched, 1, -1);
///         static_cast<void>(wake.consume());
///       }
///     });  // its destructor ends the poll
///
class notifier {
public:
  notifier() { open(); }
  notifier(notifier const&) = delete;
  notifier& operator=(notifier const&) = delete;
  ~notifier() {
    ::close(read_end_);
    if (write_end_ != read_end_) ::close(write_end_);
  }

  /// What to poll for reading. Read it by `consume` only.
  [[nodiscard]] int fd() const noexcept { return read_end_; }

  /// Makes it readable.
  void notify() noexcept {
    // acq_rel: pairs with the exchange in consume. One that was not consumed yet is enough: it is
    // in the descriptor, or its thread is about to put it there.
    if (born_.forked() || pending_.exchange(true, std::memory_order_acq_rel)) return;
    int const before = errno;  // a signal handler must leave it as it was
    std::uint64_t const one = 1;
    ssize_t written = -1;
    do {
      written = ::write(write_end_, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
    errno = before;
  }

  /// Makes it unreadable; returns whether `notify` was called since the last time.
  bool consume() noexcept {
    if (born_.forked()) return false;
    std::uint64_t taken = 0;
    // The descriptor first: a notification that comes between the two is returned here, and one
    // that comes after the exchange writes anew.
    while (::read(read_end_, &taken, sizeof taken) > 0 || errno == EINTR) {
    }
    return pending_.exchange(false, std::memory_order_acq_rel);  // pairs with notify
  }

private:
  [[noreturn]] static void fail(char const* call) {
    throw std::system_error(errno, std::generic_category(), call);
  }

#if defined(__linux__) && !defined(KINO_NOTIFIER_WITH_PIPE)
  void open() {
    read_end_ = write_end_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (read_end_ < 0) fail("eventfd");
  }
#else
  void open() {
    int ends[2];
    if (::pipe(ends) != 0) fail("pipe");
    for (int end : ends) {
      ::fcntl(end, F_SETFD, FD_CLOEXEC);
      ::fcntl(end, F_SETFL, O_NONBLOCK);
    }
    read_end_ = ends[0];
    write_end_ = ends[1];
  }
#endif

  int read_end_ = -1;
  int write_end_ = -1;
  fork_mark const born_;
  std::atomic<bool> pending_{false};
};

KINO_NAMESPACE_END
