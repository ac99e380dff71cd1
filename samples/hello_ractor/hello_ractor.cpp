// SPDX-License-Identifier: MIT
//
// The smallest use of kino: a native thread asks, Ruby Ractors answer.

#include <kino/dispatch.hpp>

#include <thread>
#include <vector>

namespace {

struct question {
  long number = 0;
  kino::responder<long> reply;
};
kino::dispatcher<question>* questions;

// In each Ractor: HelloRactor.serve { |number| ... }
VALUE serve(kino::gvl const& held, VALUE) {
  questions->serve(held, [&](question& asked) {
    VALUE const number = LONG2NUM(asked.number);
    long answer = 0;
    kino::protect(held, [&] { answer = NUM2LONG(rb_yield(number)); });
    asked.reply.answer(std::move(answer));
  });
  return Qnil;
}

// HelloRactor.ask(count): a thread that Ruby does not know asks for 1 to count.
VALUE ask(kino::gvl const& held, VALUE, VALUE count) {
  std::vector<kino::pending_answer<long>> answers;
  std::vector<question> asked;
  for (long number = 1; number <= FIX2LONG(count); ++number) {
    auto [answer, respond] = kino::make_response<long>();
    answers.push_back(std::move(answer));
    asked.push_back({number, std::move(respond)});
  }
  std::thread([asked = std::move(asked)]() mutable {
    for (question& each : asked) {
      if (questions->submit(std::move(each), std::chrono::seconds(5)) != kino::push_result::pushed) return;
    }
  }).detach();
  VALUE const results = kino::protect(held, [] { return rb_ary_new(); });
  for (auto& answer : answers) {
    auto& outcome = kino::wait(held, answer);
    rb_ary_push(results, outcome.answered() ? LONG2NUM(outcome.value()) : Qnil);
  }
  return results;
}

VALUE stop(kino::gvl const&, VALUE) {
  questions->close();
  return Qnil;
}

}  // namespace

KINO_EXTENSION(hello_ractor) {
  questions = new kino::dispatcher<question>(held);
  VALUE const hello = rb_define_module("HelloRactor");
  kino::define_function<serve>(hello, "serve");
  kino::define_function<ask>(hello, "ask");
  kino::define_function<stop>(hello, "stop");
}
