// SPDX-License-Identifier: MIT
//
// The smallest use of kino: a thread that Ruby does not know asks, Ractors answer.

#include <kino/dispatch.hpp>

#include <thread>

struct question {
  long number = 0;
  kino::responder<long> reply;
};
static kino::dispatcher<question>* questions;
static kino::channel<bool> arrivals{64};

// HelloRactor.serve { |number| answer }: answers in this Ractor until HelloRactor.stop.
static VALUE serve(kino::gvl const& held, VALUE) {
  auto handle = [&](question& asked) {
    long answer = 0;
    kino::protect(held, [&] { answer = NUM2LONG(rb_yield(LONG2NUM(asked.number))); });
    asked.reply.answer(std::move(answer));
  };
  questions->serve(held, handle, [] { static_cast<void>(arrivals.try_push(true)); });
  return Qnil;
}

// HelloRactor.await: waits until one more Ractor serves; they are created one by one.
static VALUE await(kino::gvl const& held, VALUE) {
  bool arrived = false;
  return kino::pop(held, arrivals, arrived) == kino::pop_result::popped ? Qtrue : Qfalse;
}

// HelloRactor.ask(number): hands it over from a native thread, waits without the GVL.
static VALUE ask(kino::gvl const& held, VALUE, VALUE number) {
  auto [answer, reply] = kino::make_response<long>();
  std::thread([asked = question{FIX2LONG(number), std::move(reply)}]() mutable {
    static_cast<void>(questions->try_submit(std::move(asked)));
  }).detach();
  auto& outcome = kino::wait(held, answer);
  if (!outcome.answered()) throw kino::raise(rb_eRuntimeError, "nobody answered");
  return LONG2NUM(outcome.value());
}

static VALUE stop(kino::gvl const&, VALUE) {
  questions->close();
  return Qnil;
}

KINO_EXTENSION(hello_ractor) {
  questions = new kino::dispatcher<question>(held);
  VALUE const hello = rb_define_module("HelloRactor");
  kino::define_function<serve>(hello, "serve");
  kino::define_function<await>(hello, "await");
  kino::define_function<ask>(hello, "ask");
  kino::define_function<stop>(hello, "stop");
}
