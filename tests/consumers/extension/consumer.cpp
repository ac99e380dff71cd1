// SPDX-License-Identifier: MIT
//
// The extension that is built in every supported way: it uses the dispatcher, and templates of the standard library
// that would be exported unless the build prevents it.

#include <kino/dispatch.hpp>

#include <map>
#include <string>

struct question {
  long number = 0;
  kino::responder<long> reply;
};
static kino::dispatcher<question>* questions;

// Each extension has its own, regardless of other loaded extensions.
inline std::map<std::string, long> counts;

static VALUE serve(kino::gvl const& held, VALUE) {
  questions->serve(held, [&](question& asked) {
    long answer = 0;
    kino::protect(held, [&] { answer = NUM2LONG(rb_yield(LONG2NUM(asked.number))); });
    asked.reply.answer(std::move(answer));
  });
  return Qnil;
}

static VALUE ask(kino::gvl const& held, VALUE, VALUE number) {
  auto [answer, reply] = kino::make_response<long>();
  if (questions->try_submit({NUM2LONG(number), std::move(reply)}) !=
      kino::push_result::pushed) {
    throw kino::raise(rb_eRuntimeError, "no worker has joined");
  }
  auto& outcome = kino::wait(held, answer);
  if (!outcome.answered()) throw kino::raise(rb_eRuntimeError, "no worker answered");
  return LONG2NUM(outcome.value());
}

static VALUE stop(kino::gvl const&, VALUE) {
  questions->close();
  return Qnil;
}

// How often this extension has been asked, by its own count.
static VALUE count(kino::gvl const&, VALUE) { return LONG2NUM(++counts["asked"]); }

static VALUE version(kino::gvl const& held, VALUE) {
  return kino::protect(held, [] { return rb_str_new_cstr(KINO_VERSION); });
}

static VALUE standard(kino::gvl const&, VALUE) { return LONG2NUM(__cplusplus); }

static void define(kino::gvl const& held, char const* name) {
  questions = new kino::dispatcher<question>(held);
  VALUE const consumer = rb_define_module(name);
  kino::define_function<serve>(consumer, "serve");
  kino::define_function<ask>(consumer, "ask");
  kino::define_function<stop>(consumer, "stop");
  kino::define_function<count>(consumer, "count");
  kino::define_function<version>(consumer, "version");
  kino::define_function<standard>(consumer, "standard");
}

#ifdef SECOND_CONSUMER
KINO_EXTENSION(second_consumer) { define(held, "SecondConsumer"); }
#else
KINO_EXTENSION(consumer) { define(held, "Consumer"); }
#endif
