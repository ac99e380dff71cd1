// SPDX-License-Identifier: MIT
//
// ractor_starter.hpp for the tests: workers that count themselves and serve until `stop`.

#include <kino/channel.hpp>
#include <kino/ractor_starter.hpp>
#include <kino/wait.hpp>

#include <atomic>

namespace {

kino::ractor_starter workers;
kino::channel<bool>* the_end;
std::atomic<int> serving{0};

VALUE serve(kino::gvl const& held, VALUE) {
  kino::pin_thread(held);
  ++serving;
  workers.serving();
  bool never = false;
  static_cast<void>(kino::pop(held, *the_end, never));
  --serving;
  return Qnil;
}
VALUE count(kino::gvl const&, VALUE) { return INT2FIX(serving.load()); }
VALUE stop(kino::gvl const&, VALUE) {
  the_end->close();
  return Qnil;
}
// Makes later workers wait for the next `stop`.
VALUE renew(kino::gvl const&, VALUE) {
  the_end = new kino::channel<bool>(1);  // the old one may still have readers
  return Qnil;
}

}  // namespace

KINO_EXTENSION(starting) {
  the_end = new kino::channel<bool>(1);
  VALUE const starting = rb_define_module("Starting");
  kino::define_function<serve>(starting, "serve");
  kino::define_function<count>(starting, "serving");
  kino::define_function<stop>(starting, "stop");
  kino::define_function<renew>(starting, "renew");
  kino::define_ractor_starter<workers>(held, starting);
}
