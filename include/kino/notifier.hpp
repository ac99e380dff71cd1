// SPDX-License-Identifier: MIT
//
// notifier: a file descriptor that wakes a thread blocked in poll or epoll.

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
/// Notifications are coalesced: any number of them before a `consume` count as one, and only the
/// first makes a system call. The descriptor is an eventfd where available, else a pipe. No thread
/// may notify or poll while it is destroyed.
///
/// Threads: `notify` any; `consume` the thread that polls.
/// GVL:     not needed.
/// Blocks:  never.
/// Throws:  std::system_error from the constructor, if no descriptor is left.
/// Signals: `notify` may be called in a signal handler.
/// Fork:    a child shares the descriptor with its parent. There `notify` and `consume` do nothing:
///          they would wake the parent or take its notifications. Create a new one.
/// Order:   effects before `notify` are visible after the `consume` that returns true.
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

  /// The descriptor to poll for reading. Only `consume` may read it.
  [[nodiscard]] int fd() const noexcept { return read_end_; }

  /// Makes the descriptor readable.
  void notify() noexcept {
    // acq_rel: pairs with the exchange in consume. A pending notification is enough: it has been
    // written to the descriptor, or its thread is about to write it.
    if (born_.forked() || pending_.exchange(true, std::memory_order_acq_rel)) return;
    int const before = errno;  // a signal handler must preserve it
    std::uint64_t const one = 1;
    ssize_t written = -1;
    do {
      written = ::write(write_end_, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
    errno = before;
  }

  /// Makes the descriptor unreadable; returns whether `notify` was called since the last call.
  bool consume() noexcept {
    if (born_.forked()) return false;
    std::uint64_t taken = 0;
    // The descriptor first: a notification between the two steps is returned here, and one after
    // the exchange writes again.
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
