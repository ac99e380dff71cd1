// SPDX-License-Identifier: MIT
//
// When a transport can go on.

#pragma once

#include "base/transport.hpp"
#include "net/handler_memory.hpp"

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace kino::server {

/// A readiness tells a connection when its transport can be read or written again.
///
/// Threads: `wait` and `stop` by the I/O thread, which also calls the waiters.
/// Lifetime: a wait keeps its waiter, which must keep the readiness.
class readiness {
public:
  enum class event : std::uint8_t { readable, writable };

  /// The object that a readiness calls; counted.
  class waiter {
  public:
    virtual void ready(event what) noexcept = 0;
    virtual void hold() noexcept = 0;
    virtual void drop() noexcept = 0;

  protected:
    ~waiter() = default;
  };
  class reference;

  virtual ~readiness() = default;
  /// Calls `to` once, never from within, when the event is there. One wait at a time for each
  /// event. If this throws, `to` is not called.
  virtual void wait(event what, reference to) = 0;
  /// Calls no waiter any more.
  virtual void stop() noexcept = 0;
};

/// Keeps a waiter.
class readiness::reference {
public:
  explicit reference(waiter& to) noexcept : to_(&to) { to.hold(); }
  reference(reference&& other) noexcept : to_(std::exchange(other.to_, nullptr)) {}
  reference& operator=(reference&&) = delete;
  ~reference() {
    if (to_) to_->drop();
  }
  waiter* operator->() const { return to_; }

private:
  waiter* to_;
};

/// A descriptor_readiness asks the kernel, through Asio, about a descriptor that it does not own.
///
/// Errors: the constructor and `wait` throw std::system_error or std::bad_alloc.
class descriptor_readiness final : public readiness {
public:
  descriptor_readiness(asio::io_context& context, int descriptor) : events_(std::in_place, context, descriptor) {}
  ~descriptor_readiness() override { stop(); }

  void wait(event what, reference to) override;
  void stop() noexcept override;

private:
  handler_memory read_memory_;
  handler_memory write_memory_;
  // Gone once stopped: what is left of the connection may outlive the I/O thread.
  std::optional<asio::posix::stream_descriptor> events_;
};

}  // namespace kino::server
