// SPDX-License-Identifier: MIT
//
// field_block: the header or the trailers of a response, as HTTP/2 has them.

#pragma once

#include "base/byte_buffer.hpp"
#include "http/field_list.hpp"
#include "http/grammar.hpp"
#include "http/http_date.hpp"
#include "http/response.hpp"
#include "http2/http2_session.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace kino::server {

/// A field_block is a list of fields whose names are in lower case. It refers to the fields that it is made from.
///
/// Threads: one at a time.  Throws: std::bad_alloc, from the constructors.
class field_block {
public:
  /// The header of a response; `length` is the value of content-length, if there is to be one.
  field_block(response_head const& head, std::optional<std::uint64_t> length) {
    add_status(head.status());
    append(head.fields());
    if (!head.has_server()) all_.push_back({"server", "kino"});
    if (!head.has_date()) all_.push_back({"date", http_date()});
    if (length) {
      char* const end = std::to_chars(length_.data(), length_.data() + length_.size(), *length).ptr;
      all_.push_back({"content-length", {length_.data(), end}});
    }
  }
  /// The header of an interim response.
  explicit field_block(response_head const& interim) {
    add_status(interim.status());
    append(interim.fields());
  }
  explicit field_block(response_fields const& trailers) { append(trailers); }
  field_block(field_block const&) = delete;

  [[nodiscard]] std::span<http2_session::field const> fields() const { return all_; }

private:
  void add_status(int status) {
    std::to_chars(status_.data(), status_.data() + status_.size(), status);
    all_.push_back({":status", {status_.data(), status_.size()}});
  }
  void append(response_fields const& fields) {
    all_.reserve(fields.count() + 4);
    char* at = names_.prepare(fields.bytes());
    fields.each([&](std::string_view name, std::string_view value) {
      if (equal_ignoring_case(name, "upgrade")) return;  // concerns the connection, which is not HTTP/1
      char* const start = at;
      at = std::transform(name.begin(), name.end(), at, [](char byte) { return grammar::lower(byte); });
      all_.push_back({{start, name.size()}, trimmed(value)});  // a space around it would be malformed
    });
  }

  std::vector<http2_session::field> all_;
  byte_buffer names_;
  std::array<char, 3> status_{};
  std::array<char, 20> length_{};
};

}  // namespace kino::server
