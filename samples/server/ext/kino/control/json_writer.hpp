// SPDX-License-Identifier: MIT
//
// Writes JSON without a tree in memory.

#pragma once

#include "observers/log_text.hpp"

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

namespace kino::server {

/// A json_writer appends a document to a string. Keys are literals of the program and are not escaped; strings are, and
/// bytes that are not UTF-8 become U+FFFD.
///
/// The caller sees to the structure: one value at the top, keys in objects, each `begin_` with its `end_`.
///
/// Threads: one.  Throws: std::bad_alloc.
class json_writer {
public:
  explicit json_writer(std::string& out) : out_(out) {}

  json_writer& begin_object() { return open('{'); }
  json_writer& end_object() { return close('}'); }
  json_writer& begin_array() { return open('['); }
  json_writer& end_array() { return close(']'); }

  json_writer& key(std::string_view name) {
    separate();
    out_ += '"';
    out_ += name;
    out_ += "\":";
    first_ = true;
    return *this;
  }

  json_writer& value(std::string_view text) {
    separate();
    out_ += '"';
    append_json_escaped(out_, text);
    out_ += '"';
    return *this;
  }
  json_writer& value(char const* text) { return value(std::string_view(text)); }
  json_writer& value(bool yes) { return raw(yes ? "true" : "false"); }
  json_writer& null() { return raw("null"); }
  template <class Number>
    requires(std::integral<Number> || std::floating_point<Number>)
  json_writer& value(Number number) {
    char digits[32];
    return raw({digits, std::to_chars(digits, digits + sizeof digits, number).ptr});
  }
  /// A value that is JSON already.
  json_writer& raw(std::string_view json) {
    separate();
    out_ += json;
    return *this;
  }

  /// A key with its value.
  template <class Value>
  json_writer& pair(std::string_view name, Value const& of) {
    return key(name).value(of);
  }

private:
  json_writer& open(char bracket) {
    separate();
    out_ += bracket;
    first_ = true;
    return *this;
  }
  json_writer& close(char bracket) {
    out_ += bracket;
    first_ = false;
    return *this;
  }
  void separate() {
    if (!first_) out_ += ',';
    first_ = false;
  }

  std::string& out_;
  bool first_ = true;  // nothing precedes the next value in its object or array, or only its key
};

}  // namespace kino::server
