// SPDX-License-Identifier: MIT
//
// call: a request that waits for its answer; and the right to answer it.

#pragma once

#include "mailbox.hpp"

#include <kino/dispatch.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

/// Receives the answer to one call, and then wakes the caller, which may be one of many actors of its thread.
class answer_place final : public kino::completion<kino::shareable> {
public:
  explicit answer_place(std::shared_ptr<mailbox> caller) : caller_(std::move(caller)) {}

  [[nodiscard]] bool arrived() const noexcept { return arrived_.load(std::memory_order_acquire); }  // pairs with delivered
  /// Only if it has arrived.
  [[nodiscard]] kino::outcome<kino::shareable> const& result() const { return *result_; }

  void delivered(kino::outcome<kino::shareable>&& result) noexcept override {
    result_.emplace(std::move(result));
    arrived_.store(true, std::memory_order_release);
    caller_->wake();
  }
  void released() noexcept override { delete this; }

private:
  std::shared_ptr<mailbox> const caller_;
  std::optional<kino::outcome<kino::shareable>> result_;
  std::atomic<bool> arrived_{false};
};

/// The caller's end. When it is dropped, a later answer goes nowhere.
struct call {
  static constexpr char const* ruby_name = "Actors::Call";

  explicit call(kino::responder<kino::shareable> const& reply, answer_place& place) : expiry(reply.weak()), place(&place) {}
  call(call const&) = delete;
  call& operator=(call const&) = delete;
  ~call() { expiry.expire(); }

  kino::weak_responder const expiry;
  answer_place* const place;
};

/// The callee's end, `from` in Ruby: the right to answer. Answering is safe in any Ractor.
struct reply_right {
  static constexpr char const* ruby_name = "Actors::From";
  static constexpr bool ruby_shareable = true;
  kino::responder<kino::shareable> const reply;
};
