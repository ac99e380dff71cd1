// SPDX-License-Identifier: MIT
//
// outcome<T>: the result of a request: a value, or the reason why there is none.

#pragma once

#include <kino/detail/config.hpp>

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

KINO_NAMESPACE_BEGIN

/// How a request ended.
enum class ending : std::uint8_t {
  answered,   ///< It was answered.
  abandoned,  ///< Its last responder was dropped, or a supervisor abandoned it.
  expired,    ///< Its time ran out, or the asking end was dropped.
};

/// An outcome is the result of a request: a value, or the reason why there is none.
///
/// The value is moved in and never copied. Reading the value of a request that was not answered ends
/// the program (KINO_ASSERT): check `answered` first.
///
/// Threads: one at a time; several may call const members concurrently.
/// GVL:     never needed.
/// Throws:  nothing.
///
/// Example:
///
///     kino::outcome<std::string> got(std::string("42"));
///     assert(got.answered() && got.value() == "42");
///     kino::outcome<std::string> none(kino::ending::expired);
///     assert(!none.answered() && none.kind() == kino::ending::expired);
///
template <class T>
class outcome {
public:
  /// Creates an outcome with a value.
  explicit outcome(T&& value) : ending_(ending::answered), value_(std::move(value)) {
    static_assert(std::is_nothrow_move_constructible_v<T>,
                  "an answer must be nothrow movable: the receiving thread could not be told "
                  "that the move has thrown");
  }
  /// Creates an outcome without a value; `why` must not be `ending::answered`.
  explicit outcome(ending why) : ending_(why) {
    KINO_ASSERT(why != ending::answered, "an answered outcome must be constructed from its value");
  }

  /// Whether there is a value.
  [[nodiscard]] bool answered() const { return ending_ == ending::answered; }
  /// How the request ended.
  [[nodiscard]] ending kind() const { return ending_; }
  /// The value; only if `answered()`.
  [[nodiscard]] T& value() {
    expect_value();
    return *value_;
  }
  /// The value; only if `answered()`.
  [[nodiscard]] T const& value() const {
    expect_value();
    return *value_;
  }

private:
  void expect_value() const {
    KINO_ASSERT(value_,
                "outcome::value() requires an answered request: this one was abandoned or "
                "expired; check answered() first");
  }

  ending ending_;
  std::optional<T> value_;
};

KINO_NAMESPACE_END
