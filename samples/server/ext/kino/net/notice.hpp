// SPDX-License-Identifier: MIT
//
// notice: makes an I/O thread call a function, without allocating memory.

#pragma once

#include "net/handler_memory.hpp"

#include <asio/io_context.hpp>

#include <cstddef>
#include <functional>
#include <mutex>

namespace kino::server {

class notice_queue;

/// A notice makes an I/O thread call one function soon after it was sent.
///
/// If it is sent again before its function has begun, the function is called once; effects before
/// either `send` are visible to it.
///
/// Threads: `send`: any; the I/O thread calls the function, which must not throw.
/// Blocks:  never; a leaf lock is held for a few instructions.
/// Lifetime: must not be destroyed while it is pending and the I/O thread runs. One that is not
///          pending may outlive the thread.
class notice {
public:
  notice(notice_queue& to, std::function<void()> work) : to_(to), work_(std::move(work)) {}
  notice(notice const&) = delete;
  ~notice();

  /// Returns whether it was not on its way already.
  bool send() noexcept;

private:
  friend class notice_queue;

  notice_queue& to_;
  std::function<void()> const work_;
  bool sent_ = false;  // this and the next two under the queue's lock
  notice* next_ = nullptr;
};

/// A notice_queue calls the functions of its notices, in the order in which they were sent.
///
/// Threads: its members are called by notices and by `context`'s thread.
class notice_queue {
public:
  explicit notice_queue(asio::io_context& context) : context_(context) {}
  notice_queue(notice_queue const&) = delete;

private:
  friend class notice;

  bool send(notice& one) noexcept;
  void withdraw(notice& one) noexcept;
  void call_all();
  notice* take();

  asio::io_context& context_;
  std::mutex mutex_;
  notice* first_ = nullptr;
  notice** end_ = &first_;
  std::size_t length_ = 0;
  bool posted_ = false;
  handler_memory memory_;
};

}  // namespace kino::server
