// SPDX-License-Identifier: MIT
//
// broadcast.hpp for the tests: a broadcast of integers, which each test replaces, and its subscribers.

#include <kino/dispatch.hpp>

#include <chrono>
#include <memory>

namespace {

kino::broadcast<long>* numbers;

struct listener {
  static constexpr char const* ruby_name = "Broadcasting::Subscriber";
  kino::subscriber<long> subscribed = numbers->subscribe();
};
using listener_object = kino::native_object<listener>;

VALUE result_of(kino::pop_result result, long number) {
  switch (result) {
    case kino::pop_result::popped: return LONG2FIX(number);
    case kino::pop_result::timed_out: return ID2SYM(rb_intern("timed_out"));
    default: return ID2SYM(rb_intern("closed"));
  }
}

VALUE make(kino::gvl const& held, VALUE klass) {
  return listener_object::wrap(held, klass, std::make_unique<listener>());
}
VALUE pop(kino::gvl const& held, VALUE self) {
  long number = 0;
  kino::pop_result const result =
      kino::pop(held, listener_object::get(held, self).subscribed, number);
  return result_of(result, number);
}
VALUE pop_for_a_moment(kino::gvl const& held, VALUE self) {
  long number = 0;
  kino::pop_result const result = kino::pop_for(
      held, listener_object::get(held, self).subscribed, number, std::chrono::milliseconds(1));
  return result_of(result, number);
}
VALUE lagged(kino::gvl const& held, VALUE self) {
  return ULL2NUM(listener_object::get(held, self).subscribed.lagged());
}

VALUE renew(kino::gvl const&, VALUE, VALUE capacity) {
  delete numbers;
  numbers = new kino::broadcast<long>(static_cast<std::size_t>(FIX2LONG(capacity)));
  return Qnil;
}
VALUE publish(kino::gvl const&, VALUE, VALUE number) {
  return SIZET2NUM(numbers->publish(FIX2LONG(number)));
}
VALUE count(kino::gvl const&, VALUE) { return SIZET2NUM(numbers->subscriber_count()); }
VALUE close_it(kino::gvl const&, VALUE) {
  numbers->close();
  return Qnil;
}

}  // namespace

KINO_EXTENSION(broadcasting) {
  numbers = new kino::broadcast<long>(1);
  VALUE const broadcasting = rb_define_module("Broadcasting");
  VALUE const subscriber = rb_define_class_under(broadcasting, "Subscriber", rb_cObject);
  rb_undef_alloc_func(subscriber);
  kino::define_function<make>(subscriber, "make");
  kino::define_method<pop>(subscriber, "pop");
  kino::define_method<pop_for_a_moment>(subscriber, "pop_for_a_moment");
  kino::define_method<lagged>(subscriber, "lagged");
  kino::define_function<renew>(broadcasting, "renew");
  kino::define_function<publish>(broadcasting, "publish");
  kino::define_function<count>(broadcasting, "count");
  kino::define_function<close_it>(broadcasting, "close");
  static_cast<void>(held);
}
