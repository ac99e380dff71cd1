// SPDX-License-Identifier: MIT

#include "io_thread.hpp"

#include "connection.hpp"
#include "front_end.hpp"
#include "log.hpp"

#include <asio/post.hpp>

#include <exception>
#include <unistd.h>
#include <utility>

#ifdef __linux__
#include <sys/prctl.h>
#endif

namespace kino::server {

namespace {

// What `ps -T` and `top -H` call this thread; it starts with its creator's name.
void name_this_thread() noexcept {
#ifdef __linux__
  ::prctl(PR_SET_NAME, "kino I/O");
#endif
}

}  // namespace

io_thread::io_thread(front_end& front) : front_(front), work_(context_.get_executor()) {}

io_thread::~io_thread() {
  stop();
  for (connection* one : unflushed_) one->drop();  // came too late
}

void io_thread::start() {
  thread_ = kino::start_thread([this] { run(); });
}

void io_thread::run() noexcept {
  name_this_thread();
  for (;;) {
    try {
      context_.run();
      return;
    } catch (std::exception const& e) {
      // Nothing that one connection met may end the others.
      log_line(std::string("an I/O thread goes on after: ") + e.what());
    }
  }
}

void io_thread::stop() {
  if (!thread_.joinable()) return;
  work_.reset();  // run returns once the last operation is done
  thread_.join();
}

void io_thread::adopt(int socket, endpoint peer, endpoint const& local) {
  asio::post(context_, [this, socket, peer = std::move(peer), &local]() mutable {
    connection* fresh = nullptr;
    try {
      fresh = new connection(*this, socket, std::move(peer), local);
    } catch (std::exception const& e) {
      log_line(std::string("a connection was dropped: ") + e.what());
      ::close(socket);
      front_.connection_closed(true);
      return;
    }
    fresh->next_ = connections_;
    if (connections_) connections_->previous_ = fresh;
    connections_ = fresh;
    if (front_.closing()) return fresh->close();
    fresh->start();
    if (front_.draining()) fresh->drain();
  });
}

void io_thread::closed(connection& gone) {
  (gone.previous_ ? gone.previous_->next_ : connections_) = gone.next_;
  if (gone.next_) gone.next_->previous_ = gone.previous_;
  gone.next_ = gone.previous_ = nullptr;
  front_.connection_closed(std::exchange(gone.live_, false));
}

void io_thread::flush_later(connection& one) noexcept {
  try {
    {
      std::lock_guard guard(flush_mutex_);
      unflushed_.push_back(&one);
      one.hold();
      if (std::exchange(flush_asked_, true)) return;
    }
    asio::post(context_, [this] {
      flush_timer_.expires_after(tuning::gather_time);
      flush_timer_.async_wait([this](asio::error_code const&) { flush_all(); });
    });
  } catch (std::exception const&) {
    // Without memory for later, now; those that have relied on this one go with the next.
    {
      std::lock_guard guard(flush_mutex_);
      flush_asked_ = false;
    }
    one.out().flush_late();
  }
}

void io_thread::flush_all() {
  {
    std::lock_guard guard(flush_mutex_);
    flush_asked_ = false;
    flushing_.swap(unflushed_);
  }
  for (connection* one : flushing_) {
    one->out().flush_late();
    one->drop();
  }
  flushing_.clear();
}

template <class Work>
void io_thread::for_each(Work work) {
  asio::post(context_, [this, work] {
    for (connection* next = connections_; next != nullptr;) {
      connection& one = *std::exchange(next, next->next_);
      one.hold();
      work(one);
      one.drop();
    }
  });
}

void io_thread::drain_all() {
  for_each([](connection& one) { one.drain(); });
}

void io_thread::close_all() {
  for_each([](connection& one) { one.close(); });
}

}  // namespace kino::server
