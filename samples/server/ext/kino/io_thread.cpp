// SPDX-License-Identifier: MIT

#include "io_thread.hpp"

#include "connection.hpp"
#include "front_end.hpp"
#include "log.hpp"

#include <asio/post.hpp>

#include <csignal>
#include <exception>
#include <unistd.h>
#include <utility>

namespace kino::server {

io_thread::io_thread(front_end& front) : front_(front), work_(context_.get_executor()) {}

io_thread::~io_thread() { stop(); }

void io_thread::start() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited by the new thread
  try {
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void io_thread::run() noexcept {
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
