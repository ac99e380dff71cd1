// SPDX-License-Identifier: MIT
//
// io_thread: an Asio context with its thread, its connections and their shared state.

#pragma once

#include "base/deadline.hpp"
#include "base/options.hpp"
#include "http/exchange.hpp"
#include "http/protocol.hpp"
#include "net/handler_memory.hpp"
#include "net/notice.hpp"

#include <kino/start_thread.hpp>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

namespace kino::server {

class connection;
class http_server;
class readiness;
class transport;
struct endpoint;

/// An io_thread runs the sockets of its connections; it never calls Ruby.
///
/// Its functions do not throw: operations start in preallocated memory, and if there is no memory for
/// a connection, only that connection is closed.
///
/// Threads: the thread itself, unless stated otherwise.
class io_thread {
public:
  explicit io_thread(http_server& http);
  ~io_thread();

  /// Starts the thread, with all signals blocked; Ruby's threads handle them.
  void start();
  /// Ends the thread; any thread except itself. Its connections must be closed before.
  void stop();

  [[nodiscard]] http_server& http() { return http_; }
  [[nodiscard]] asio::io_context& context() { return context_; }
  /// The queue for notices to this thread.
  [[nodiscard]] notice_queue& notices() { return notices_; }
  /// The deadlines of this thread.
  [[nodiscard]] deadline_queue& deadlines() { return deadlines_; }
  /// What the protocols of its connections share.
  [[nodiscard]] protocol_context const& shared() const { return shared_; }
  /// The buffer for reads; its bytes are parsed before anything else is read.
  [[nodiscard]] std::span<char> read_buffer() { return {buffer_.get(), tuning::read_size}; }

  /// Takes over a connection; any thread. Without `events`, the descriptor of `client` is watched. If this
  /// throws, the connection is closed.
  void adopt(std::unique_ptr<transport> client, std::unique_ptr<readiness> events, endpoint peer, endpoint const& local);
  void closed(connection& gone);
  /// Calls protocol::flush_late of the connection after tuning::gather_time; any thread. However many connections ask,
  /// the thread wakes once for all of them.
  void flush_later(connection& one) noexcept;

  /// Closes one connection, soon: of those whose activity matters least, the one that has been open for longest; any thread.
  void displace_one() noexcept { room_notice_.send(); }
  /// Makes every connection check whether the http_server drains or closes; any thread.
  void look_at_server() noexcept { server_notice_.send(); }

private:
  void run() noexcept;
  void start_adopted() noexcept;
  void follow_server() noexcept;
  void displace_one_now() noexcept;
  void flush_all() noexcept;
  void wake_by(clock::time_point when) noexcept;
  void run_deadlines() noexcept;
  void stop_alarm() noexcept;

  http_server& http_;
  // Before the context, which gives them up last.
  handler_memory alarm_memory_;
  notice_queue notices_{context_};
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  exchange_pool::owner exchanges_;
  std::unique_ptr<char[]> buffer_{new char[tuning::read_size]};
  connection* connections_ = nullptr;

  asio::steady_timer alarm_{context_};
  clock::time_point alarm_at_ = clock::time_point::max();  // when it expires
  bool stopping_ = false;
  notice alarm_notice_{notices_, [this] { run_deadlines(); }};
  notice stop_notice_{notices_, [this] { stop_alarm(); }};
  deadline_queue deadlines_{[this](clock::time_point when) { wake_by(when); }};
  protocol_context const shared_;
  deadline flush_due_{deadlines_, [this] { flush_all(); }};

  std::mutex lists_mutex_;
  connection* adopted_ = nullptr;    // not yet started
  connection* unflushed_ = nullptr;  // counted
  notice adoption_notice_{notices_, [this] { start_adopted(); }};
  notice room_notice_{notices_, [this] { displace_one_now(); }};
  notice server_notice_{notices_, [this] { follow_server(); }};
  notice flush_notice_{notices_, [this] { flush_due_.set(clock::now() + tuning::gather_time); }};
  std::thread thread_;
};

}  // namespace kino::server
