// SPDX-License-Identifier: MIT

#include "net/io_thread.hpp"

#include "base/log.hpp"
#include "base/thread_name.hpp"
#include "net/connection.hpp"
#include "net/descriptor_readiness.hpp"
#include "net/http_server.hpp"

#include <exception>
#include <utility>

namespace kino::server {

io_thread::io_thread(http_server& http)
    : http_(http),
      work_(context_.get_executor()),
      exchanges_(exchange_pool::make(http.settings().files, http.settings().observes, http.believes())),
      shared_{http.settings().connection, http.streamed(), http.handler(), *exchanges_, deadlines_, http.drains(),
              http.http2()} {}

io_thread::~io_thread() {
  stop();
  while (connection* const one = unflushed_) {  // came too late
    unflushed_ = one->next_unflushed_;
    one->drop();
  }
}

void io_thread::start() {
  thread_ = kino::start_thread([this] { run(); });
}

void io_thread::run() noexcept {
  name_this_thread("kino I/O");
  for (;;) {
    try {
      context_.run();
      return;
    } catch (std::exception const& e) {
      // Nothing that one connection met may end the others.
      log_line(e.what());
    }
  }
}

void io_thread::stop() {
  if (!thread_.joinable()) return;
  stop_notice_.send();
  work_.reset();  // run returns once the last operation is done
  thread_.join();
}

void io_thread::adopt(std::unique_ptr<transport> client, std::unique_ptr<readiness> events, endpoint peer,
                      endpoint const& local) {
  // A local variable is destroyed before a parameter: the descriptor must not be closed while it is watched.
  auto watched = std::move(events);
  if (!watched) watched = std::make_unique<descriptor_readiness>(context_, client->descriptor());
  auto* const fresh = new connection(*this, std::move(client), std::move(watched), std::move(peer), local);
  {
    std::lock_guard guard(lists_mutex_);
    fresh->next_ = std::exchange(adopted_, fresh);
  }
  adoption_notice_.send();
}

void io_thread::start_adopted() noexcept {
  connection* fresh = nullptr;
  {
    std::lock_guard guard(lists_mutex_);
    fresh = std::exchange(adopted_, nullptr);
  }
  while (fresh) {
    connection& one = *std::exchange(fresh, fresh->next_);
    one.next_ = connections_;
    if (connections_) connections_->previous_ = &one;
    connections_ = &one;
    one.hold();
    one.start();
    one.drop();
  }
}

void io_thread::closed(connection& gone) {
  (gone.previous_ ? gone.previous_->next_ : connections_) = gone.next_;
  if (gone.next_) gone.next_->previous_ = gone.previous_;
  gone.next_ = gone.previous_ = nullptr;
  http_.connection_closed(std::exchange(gone.live_, false));
}

void io_thread::follow_server() noexcept {
  for (connection* next = connections_; next != nullptr;) {
    connection& one = *std::exchange(next, next->next_);
    one.hold();
    one.follow_server();
    one.drop();
  }
}

// New connections are the first of the list.
void io_thread::displace_one_now() noexcept {
  connection* least = nullptr;
  protocol::activity least_doing{};
  for (connection* one = connections_; one; one = one->next_) {
    protocol::activity const doing = one->doing();
    if (least && doing > least_doing) continue;
    least = one;
    least_doing = doing;
  }
  if (!least) return;
  least->hold();
  least->close();
  least->drop();
}

void io_thread::flush_later(connection& one) noexcept {
  one.hold();
  {
    std::lock_guard guard(lists_mutex_);
    one.next_unflushed_ = std::exchange(unflushed_, &one);
    if (one.next_unflushed_) return;  // The first one asked for all.
  }
  flush_notice_.send();
}

// One timer serves all deadlines. Without memory for it, they are looked at in each iteration.
void io_thread::wake_by(clock::time_point when) noexcept {
  if (when >= alarm_at_ || stopping_) return;
  alarm_at_ = when;
  try {
    alarm_.expires_at(when);
    alarm_.async_wait(handler_in(alarm_memory_, [this](asio::error_code const& replaced) {
      if (!replaced) run_deadlines();
    }));
  } catch (std::exception const&) {
    alarm_notice_.send();
  }
}

// The alarm is set for deadlines that have been cleared, too; it must not keep the thread.
void io_thread::stop_alarm() noexcept {
  stopping_ = true;
  alarm_.cancel();
}

void io_thread::run_deadlines() noexcept {
  alarm_at_ = clock::time_point::max();
  deadlines_.run(clock::now());
  wake_by(deadlines_.next());
}

void io_thread::flush_all() noexcept {
  connection* due = nullptr;
  {
    std::lock_guard guard(lists_mutex_);
    due = std::exchange(unflushed_, nullptr);
  }
  while (due) {
    // Once it is flushed it may ask again, and use its place in the list.
    connection& one = *std::exchange(due, due->next_unflushed_);
    one.flush_late();
    one.drop();
  }
}

}  // namespace kino::server
