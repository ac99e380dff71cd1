// SPDX-License-Identifier: MIT
//
// map_key: a key of a Kino::Map, with what is compared of it.

#pragma once

#include <kino/dispatch.hpp>
#include <ruby/encoding.h>

#include <cstdint>
#include <cstring>

/// Keys are equal as in a Hash: `hash` and `eql?`. Those of Ruby's simple types are compared without Ruby, under a lock;
/// all others only by Ruby.
enum class key_kind : unsigned char {
  identity,  ///< Integers of a word, Symbols, nil, true, false: equal if they are the same object
  number,    ///< Floats
  string,    ///< Strings: equal bytes, comparable encodings
  object,    ///< calls `hash` and `eql?`
};

/// A map_key is on the stack of a call: Ruby's collector finds the object there and does not move it.
/// Throws: what `hash` of an object throws (ruby_error).
class map_key {
public:
  map_key(kino::gvl const& held, VALUE object) : object_(object) {
    if (RB_FLOAT_TYPE_P(object)) {
      kind_ = key_kind::number;
      hash_ = of_bytes(number(object));
    } else if (RB_SPECIAL_CONST_P(object) || RB_TYPE_P(object, T_SYMBOL)) {
      kind_ = key_kind::identity;
      hash_ = of_bytes(object);
    } else if (RB_TYPE_P(object, T_STRING)) {
      kind_ = key_kind::string;
      kino::protect(held, [&] { encoding_ = comparable_encoding(object); });
      hash_ = rb_memhash(RSTRING_PTR(object), RSTRING_LEN(object));
    } else {
      kind_ = key_kind::object;
      kino::protect(held, [&] { hash_ = static_cast<std::size_t>(NUM2LONG(rb_hash(object))); });
      hash_ = of_bytes(hash_);
    }
  }

  [[nodiscard]] VALUE object() const noexcept { return object_; }
  [[nodiscard]] std::size_t hash() const noexcept { return hash_; }
  [[nodiscard]] key_kind kind() const noexcept { return kind_; }
  [[nodiscard]] int encoding() const noexcept { return encoding_; }

  /// Whether this is the key `other`, whose hash is the same. Neither is of the kind `object`, or they are the same object.
  [[nodiscard]] bool is(VALUE other, key_kind kind, int encoding) const noexcept {
    if (object_ == other) return true;
    if (kind_ != kind) return false;
    if (kind_ == key_kind::number) return rb_float_value(object_) == rb_float_value(other);
    return kind_ == key_kind::string && encoding_ == encoding && RSTRING_LEN(object_) == RSTRING_LEN(other) &&
           std::memcmp(RSTRING_PTR(object_), RSTRING_PTR(other), RSTRING_LEN(other)) == 0;
  }

  /// Whether `object.eql?(other)`. Throws ruby_error.
  [[nodiscard]] bool is_for_ruby(kino::gvl const& held, VALUE other) const {
    bool equal = false;
    kino::protect(held, [&] { equal = rb_eql(object_, other); });
    return equal;
  }

private:
  // Strings with the same bytes are equal if both are ASCII or empty, or both have the same encoding.
  static int comparable_encoding(VALUE string) {
    if (RSTRING_LEN(string) == 0 || rb_enc_str_asciionly_p(string)) return -1;
    return rb_enc_get_index(string);
  }
  static double number(VALUE object) {
    double const value = rb_float_value(object);
    return value == 0 ? 0 : value;  // 0.0.eql?(-0.0)
  }
  template <class T>
  static std::size_t of_bytes(T const& value) noexcept {
    return rb_memhash(&value, sizeof value);
  }

  VALUE object_;
  std::size_t hash_ = 0;
  int encoding_ = -1;
  key_kind kind_ = key_kind::object;
};
