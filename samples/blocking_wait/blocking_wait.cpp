// SPDX-License-Identifier: MIT
//
// A native wait that Ctrl-C, Timeout and Thread#kill interrupt immediately.

#include <kino/dispatch.hpp>

static kino::channel<long>* numbers;

// BlockingWait.pop: waits for the next number without the GVL.
static VALUE pop(kino::gvl const& held, VALUE) {
  long number = 0;
  static_cast<void>(kino::pop(held, *numbers, number));
  return kino::to_ruby(held, number);
}

// BlockingWait.push(number): waits while the channel is full.
static VALUE push(kino::gvl const& held, VALUE, VALUE number) {
  static_cast<void>(kino::push(held, *numbers, kino::from_ruby<long>(held, number)));
  return Qnil;
}

KINO_EXTENSION(blocking_wait) {
  numbers = new kino::channel<long>(1);
  VALUE const waits = rb_define_module("BlockingWait");
  kino::define_function<pop>(waits, "pop");
  kino::define_function<push>(waits, "push");
}
