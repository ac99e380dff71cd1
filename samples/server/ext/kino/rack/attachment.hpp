// SPDX-License-Identifier: MIT
//
// The tie between a worker's worker_context and a Ruby object that works on its request.

#pragma once

#include <memory>
#include <utility>

namespace kino::server {

struct worker_context;

/// An attachment_slot is the worker's end of a tie: at most one Ruby object at a time.
///
/// Threads: the worker's, with the GVL.
class attachment_slot {
public:
  attachment_slot() = default;
  attachment_slot(attachment_slot const&) = delete;
  ~attachment_slot() { cut(); }

  /// Detaches the object, which then belongs to no request.
  void cut() noexcept {
    if (auto const tied = std::exchange(tied_, nullptr)) *tied = nullptr;
  }

private:
  friend class attachment;
  std::shared_ptr<worker_context*> tied_;
};

/// An attachment is the Ruby object's end: it knows the worker_context until the request is over.
///
/// The object may outlive the request, in a variable of the application or until the next
/// collection. It may also be collected earlier, by a thread of another Ractor while the worker
/// runs. Therefore neither end refers to the other: both refer to a shared cell, which the last one
/// frees, and the collector only decrements a reference count.
///
/// Threads: `at`: those of the worker's Ractor, with the GVL; the destructor: any.
class attachment {
public:
  attachment(attachment_slot& place, worker_context& at) : tied_(std::make_shared<worker_context*>(&at)) {
    place.cut();
    place.tied_ = tied_;
  }
  attachment(attachment const&) = delete;

  /// The context of the request; null once it has ended.
  [[nodiscard]] worker_context* at() const noexcept { return *tied_; }

private:
  std::shared_ptr<worker_context*> const tied_;
};

}  // namespace kino::server
