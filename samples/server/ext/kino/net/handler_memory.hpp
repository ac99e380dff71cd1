// SPDX-License-Identifier: MIT
//
// handler_memory: preallocated memory for asynchronous operations, so starting one cannot fail.

#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace kino::server {

/// A handler_memory stores one pending Asio operation with its handler.
///
/// Asio frees the memory before it calls the handler, which may start the next operation. A second
/// concurrent operation, or one that is too large, is allocated on the heap.
///
/// Threads: one at a time; an operation may be started once the previous one has begun to call its
///          handler.
/// Lifetime: until the operation has ended or its context is destroyed; the handler may own it.
class handler_memory {
public:
  handler_memory() = default;
  handler_memory(handler_memory const&) = delete;

  [[nodiscard]] void* allocate(std::size_t size) {
    if (used_ || size > sizeof bytes_) return ::operator new(size);
    used_ = true;
    return bytes_;
  }
  void deallocate(void* place) noexcept {
    if (place != bytes_) return ::operator delete(place);
    used_ = false;
  }

private:
  // The largest operation of Asio 1.22 takes 176 bytes with our handlers.
  alignas(std::max_align_t) std::byte bytes_[256];
  bool used_ = false;
};

/// The allocator through which Asio uses it.
template <class T>
class handler_allocator {
public:
  using value_type = T;
  explicit handler_allocator(handler_memory& from) noexcept : from_(&from) {}
  template <class U>
  handler_allocator(handler_allocator<U> const& other) noexcept : from_(other.from()) {}

  [[nodiscard]] T* allocate(std::size_t count) {
    return static_cast<T*>(from_->allocate(count * sizeof(T)));
  }
  void deallocate(T* place, std::size_t) noexcept { from_->deallocate(place); }
  [[nodiscard]] handler_memory* from() const noexcept { return from_; }
  bool operator==(handler_allocator const&) const = default;

private:
  handler_memory* from_;
};

/// A handler whose operation lies in a handler_memory.
template <class Handler>
class handler_in {
public:
  using allocator_type = handler_allocator<void>;
  handler_in(handler_memory& place, Handler handler)
      : place_(&place), handler_(std::move(handler)) {}
  [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(*place_); }
  template <class... Arguments>
  void operator()(Arguments&&... arguments) {
    handler_(std::forward<Arguments>(arguments)...);
  }

private:
  handler_memory* place_;
  Handler handler_;
};

}  // namespace kino::server
