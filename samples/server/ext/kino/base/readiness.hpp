// SPDX-License-Identifier: MIT
//
// When a transport can go on.

#pragma once

#include <cstdint>
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

}  // namespace kino::server
