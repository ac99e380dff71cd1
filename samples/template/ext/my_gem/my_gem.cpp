// Native threads send requests, and workers in Ractors answer them.

#include <kino/dispatch.hpp>

struct question {
  long number = 0;
  kino::responder<long> reply;
};

// Shared by all Ractors. kino's classes may be shared; Ruby's mutable objects may not.
static kino::dispatcher<question>* questions;
static kino::ractor_starter workers;

// MyGem.serve { |number| answer }: makes the caller a worker until MyGem.stop.
static VALUE serve(kino::gvl const& held, VALUE) {
  kino::protect(held, [] { rb_need_block(); });
  auto handle = [&](question& asked) {
    // Ruby code may raise, and a Ruby exception runs no destructors: protect converts it to a C++ one.
    VALUE const answer = kino::protect(held, [&] { return rb_yield(LONG2NUM(asked.number)); });
    asked.reply.answer(kino::from_ruby<long>(held, answer));
  };
  questions->serve(held, handle, [] { workers.serving(); });
  return Qnil;
}

// MyGem.ask(number): returns the answer. Ctrl-C, Timeout and Thread#kill interrupt the wait.
static VALUE ask(kino::gvl const& held, VALUE, VALUE number) {
  auto [answer, reply] = kino::make_response<long>();
  question asked{kino::from_ruby<long>(held, number), std::move(reply)};
  // Replace this with your gem's native thread.
  kino::native_thread asker([asked = std::move(asked)](std::stop_token) mutable {
    // A refused question is dropped, which ends the wait below.
    static_cast<void>(questions->try_submit(std::move(asked)));
  });
  auto& outcome = kino::wait(held, answer);
  if (!outcome.answered()) throw kino::raise(rb_eRuntimeError, "no worker answered");
  return LONG2NUM(outcome.value());
}

// MyGem.stop: workers finish their current requests and leave.
static VALUE stop(kino::gvl const&, VALUE) {
  questions->close();
  return Qnil;
}

KINO_EXTENSION(my_gem) {
  questions = new kino::dispatcher<question>(held);
  VALUE const module = rb_define_module("MyGem");
  kino::define_function<serve>(module, "serve");
  kino::define_function<ask>(module, "ask");
  kino::define_function<stop>(module, "stop");
  // MyGem.start(count) { MyGem.serve { ... } }: starts Ractors, each after the previous one serves.
  kino::define_ractor_starter<workers>(held, module);
}
