// SPDX-License-Identifier: MIT
//
// How other threads get an I/O thread to do something, without memory that might be missing.

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
/// One that is sent again before its function has begun is still one call; what was written
/// before either `send` is visible to it.
///
/// Threads: `send` by any; the function is called by the I/O thread and must not throw.
/// Blocks:  never; a leaf lock is held for a few instructions.
/// Lifetime: not destroyed while it is on its way and the I/O thread runs. One that is not on its
///          way may outlive the thread.
class notice {
public:
  notice(notice_queue& to, std::function<void()> work) : to_(to), work_(std::move(work)) {}
  notice(notice const&) = delete;
  ~notice();

  void send() noexcept;

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

  void send(notice& one) noexcept;
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
