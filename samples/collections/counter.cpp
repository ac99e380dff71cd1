// SPDX-License-Identifier: MIT

#include "counter.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace {

class counter {
public:
  static constexpr char const* ruby_name = "Kino::Counter";
  static constexpr bool ruby_shareable = true;

  explicit counter(std::int64_t start) : value_(start) {}

  /// The new value. Throws RangeError instead of an overflow.
  std::int64_t add(std::int64_t amount) {
    std::int64_t before = value_.load();
    std::int64_t sum = 0;
    do {
      if (__builtin_add_overflow(before, amount, &sum)) {
        throw kino::raise(rb_eRangeError, "kino: a counter holds 64 bits, and this sum needs more");
      }
    } while (!value_.compare_exchange_weak(before, sum));
    return sum;
  }
  std::int64_t reset() { return value_.exchange(0); }
  [[nodiscard]] std::int64_t value() const { return value_.load(); }

private:
  std::atomic<std::int64_t> value_;
};
using counter_object = kino::native_object<counter>;

VALUE create(kino::gvl const& held, VALUE klass, VALUE start) {
  return counter_object::wrap_shareable(held, klass,
                                        std::make_unique<counter>(kino::from_ruby<std::int64_t>(held, start)));
}
VALUE add_amount(kino::gvl const& held, VALUE self, VALUE amount) {
  std::int64_t const by = kino::from_ruby<std::int64_t>(held, amount);
  return kino::to_ruby(held, counter_object::get(held, self).add(by));
}
VALUE reset(kino::gvl const& held, VALUE self) {
  return kino::to_ruby(held, counter_object::get(held, self).reset());
}
VALUE value(kino::gvl const& held, VALUE self) {
  return kino::to_ruby(held, counter_object::get(held, self).value());
}

}  // namespace

void define_counter(kino::gvl const& held, VALUE kino) {
  VALUE const klass = counter_object::define_class(held, kino, "Counter");
  kino::define_function<create>(klass, "create");
  kino::define_method<add_amount>(klass, "add_amount");
  kino::define_method<reset>(klass, "reset");
  kino::define_method<value>(klass, "value");
}
