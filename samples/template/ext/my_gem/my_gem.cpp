// Native threads ask, workers in Ractors answer.

#include <kino/dispatch.hpp>

#include <thread>

struct question {
  long number = 0;
  kino::responder<long> reply;
};

// Shared by all Ractors: kino's classes may be, Ruby's mutable objects may not.
static kino::dispatcher<question>* questions;

// MyGem.serve { |number| answer }: makes the caller a worker until MyGem.stop.
static VALUE serve(kino::gvl const& held, VALUE) {
  questions->serve(held, [&](question& asked) {
    long answer = 0;
    // Ruby code may raise, and a Ruby exception runs no destructors: protect turns it into a C++ one.
    kino::protect(held, [&] { answer = NUM2LONG(rb_yield(LONG2NUM(asked.number))); });
    asked.reply.answer(std::move(answer));
  });
  return Qnil;
}

// MyGem.ask(number): the answer. Ctrl-C, Timeout and Thread#kill wake the wait.
static VALUE ask(kino::gvl const& held, VALUE, VALUE number) {
  long asked = 0;
  kino::protect(held, [&] { asked = NUM2LONG(number); });
  auto [answer, reply] = kino::make_response<long>();
  std::thread([item = question{asked, std::move(reply)}]() mutable {
    // A question that is refused is dropped, and dropping it ends the wait below.
    static_cast<void>(questions->try_submit(std::move(item)));
  }).detach();
  auto& outcome = kino::wait(held, answer);
  if (!outcome.answered()) throw kino::raise(rb_eRuntimeError, "nobody answered");
  return LONG2NUM(outcome.value());
}

// MyGem.stop: workers finish what they have taken and leave.
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
}
