// SPDX-License-Identifier: MIT
//
// One I/O thread: an Asio context, the connections it serves and what they share.

#pragma once

#include "exchange.hpp"
#include "options.hpp"

#include <kino/native_thread.hpp>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace kino::server {

class connection;
class front_end;
struct endpoint;

/// An io_thread runs the sockets of its connections; it never touches Ruby.
///
/// Threads: the thread itself, except where it says otherwise.
class io_thread {
public:
  explicit io_thread(front_end& front);
  ~io_thread();

  /// Starts the thread, with all signals blocked: they are for Ruby's threads.
  void start();
  /// Ends the thread; any thread but this one. Its connections must be closed before.
  void stop();

  [[nodiscard]] front_end& front() { return front_; }
  [[nodiscard]] asio::io_context& context() { return context_; }
  [[nodiscard]] exchange_pool& exchanges() { return *exchanges_; }
  /// Where bytes are read to; they are parsed before anything else is read.
  [[nodiscard]] std::span<char> read_buffer() { return {buffer_.get(), tuning::read_size}; }

  /// Takes over a connected socket; any thread.
  void adopt(int socket, endpoint peer, endpoint const& local);
  void closed(connection& gone);
  /// Flushes the connection's outlet in a moment; any thread. However many connections ask,
  /// the thread wakes once for all of them.
  void flush_later(connection& one) noexcept;

  /// Calls `drain` or `close` of every connection; any thread.
  void drain_all();
  void close_all();

private:
  template <class Work>
  void for_each(Work work);
  void run() noexcept;
  void flush_all();

  front_end& front_;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  exchange_pool::owner exchanges_ = exchange_pool::make();
  std::unique_ptr<char[]> buffer_{new char[tuning::read_size]};
  connection* connections_ = nullptr;

  asio::steady_timer flush_timer_{context_};
  std::mutex flush_mutex_;
  bool flush_asked_ = false;            // the timer is set, or about to be
  std::vector<connection*> unflushed_;  // counted
  std::vector<connection*> flushing_;   // the thread's own, kept for its memory
  kino::detail::thread thread_;
};

}  // namespace kino::server
