// SPDX-License-Identifier: MIT
//
// The smallest use of kino: a native thread asks, Ractors answer.

#include <kino/dispatch.hpp>

struct question {
  long number = 0;
  kino::responder<long> reply;
};
static kino::dispatcher<question>* questions;
static kino::ractor_starter workers;

// HelloRactor.serve { |number| answer }: answers in this Ractor until HelloRactor.stop.
static VALUE serve(kino::gvl const& held, VALUE) {
  kino::protect(held, [] { rb_need_block(); });
  auto handle = [&](question& asked) {
    VALUE const answer = kino::protect(held, [&] { return rb_yield(LONG2NUM(asked.number)); });
    asked.reply.answer(kino::from_ruby<long>(held, answer));
  };
  questions->serve(held, handle, [] { workers.serving(); });
  return Qnil;
}

// HelloRactor.ask(number): submits it from a native thread and waits without the GVL.
static VALUE ask(kino::gvl const& held, VALUE, VALUE number) {
  auto [answer, reply] = kino::make_response<long>();
  kino::native_thread asker([asked = question{kino::from_ruby<long>(held, number), std::move(reply)}](
                                std::stop_token) mutable {
    static_cast<void>(questions->try_submit(std::move(asked)));
  });
  auto& outcome = kino::wait(held, answer);
  if (!outcome.answered()) throw kino::raise(rb_eRuntimeError, "no worker answered");
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
  kino::define_function<ask>(hello, "ask");
  kino::define_function<stop>(hello, "stop");
  kino::define_ractor_starter<workers>(held, hello);
}
