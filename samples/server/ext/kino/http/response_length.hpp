// SPDX-License-Identifier: MIT
//
// The length of the body of a response.

#pragma once

#include "http/request.hpp"
#include "http/response.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace kino::server {

/// A response_length knows what can be stated of the length of a response's body (RFC 9110, 8.6), and whether the
/// parts that follow agree with it.
///
/// Threads: one at a time.
class response_length {
public:
  /// The response to `asked` begins with `first`. `whole`: the body is all in this part.
  void begin(request const& asked, response_part const& first, bool whole) {
    response_head const& head = *first.head;
    std::size_t const at_hand = first.end ? length_of(first.data) : 0;
    bodiless_ = asked.head_only() || head.bodiless();
    left_.reset();
    if (!bodiless_ && head.content_length()) left_ = head.content_length();
    else if (!bodiless_ && whole) left_ = at_hand;
    stated_ = state(head, at_hand);
  }

  /// Whether there is no body, because of the request or the status.
  [[nodiscard]] bool bodiless() const { return bodiless_; }
  /// Whether the length of the body that is sent is known.
  [[nodiscard]] bool known() const { return left_.has_value(); }
  /// The value of content-length, if there is to be one.
  [[nodiscard]] std::optional<std::uint64_t> stated() const { return stated_; }

  /// Takes the next bytes of the body, the last ones if `end`. False if the body is longer or shorter than was stated:
  /// the response cannot be completed.
  [[nodiscard]] bool take(std::size_t length, bool end) {
    if (!left_) return true;
    if (length > *left_ || (end && length != *left_)) return false;
    *left_ -= length;
    return true;
  }

private:
  [[nodiscard]] std::optional<std::uint64_t> state(response_head const& head, std::size_t at_hand) const {
    switch (head.content()) {
      case content_rule::interim:
      case content_rule::other_protocol:
      case content_rule::none: return std::nullopt;
      case content_rule::zero: return 0;
      case content_rule::described: return head.content_length();
      case content_rule::usual: break;
    }
    if (left_) return left_;
    // HEAD: as GET would be answered. A body that was not made says nothing about its length.
    if (bodiless_ && !head.content_length() && at_hand != 0) return at_hand;
    return head.content_length();
  }

  bool bodiless_ = false;
  std::optional<std::uint64_t> left_;  // bytes of the body until its end, if that is known
  std::optional<std::uint64_t> stated_;
};

}  // namespace kino::server
