// SPDX-License-Identifier: MIT
//
// shared_cache.hpp and shareable_cache.hpp for the tests: blocks compute the values.

#include <kino/dispatch.hpp>

#include <atomic>
#include <string_view>

namespace {

kino::shared_cache<long>* numbers;
kino::shareable_cache* objects;
kino::channel<bool>* gate;
std::atomic<int> computing{0};

VALUE number(kino::gvl const& held, VALUE, VALUE key) {
  long const got = kino::fetch(held, *numbers, kino::bytes_of(held, key), [&] {
    return FIX2LONG(kino::protect(held, [] { return rb_yield(Qnil); }));
  });
  return LONG2FIX(got);
}
VALUE object(kino::gvl const& held, VALUE, VALUE key) {
  return objects->fetch(held, kino::bytes_of(held, key), [&] {
    return kino::protect(held, [] { return rb_yield(Qnil); });
  });
}
VALUE find(kino::gvl const& held, VALUE, VALUE key) {
  return objects->find(held, kino::bytes_of(held, key)).value_or(Qnil);
}
VALUE erase(kino::gvl const& held, VALUE, VALUE key) {
  return objects->erase(kino::bytes_of(held, key)) ? Qtrue : Qfalse;
}
VALUE size(kino::gvl const&, VALUE) { return SIZET2NUM(objects->size()); }

// Waits for `open_gate`, and counts as computing meanwhile.
VALUE wait_at_gate(kino::gvl const& held, VALUE) {
  struct presence {
    presence() { ++computing; }
    ~presence() { --computing; }
  } const here;
  bool never = false;
  static_cast<void>(kino::pop(held, *gate, never));
  return Qnil;
}
VALUE count_computing(kino::gvl const&, VALUE) { return INT2FIX(computing.load()); }
VALUE open_gate(kino::gvl const&, VALUE) {
  gate->close();
  return Qnil;
}

// Replaces the cache and the gate; the old ones are never destroyed.
VALUE renew(kino::gvl const&, VALUE) {
  numbers = new kino::shared_cache<long>(4);
  gate = new kino::channel<bool>(1);
  return Qnil;
}

}  // namespace

KINO_EXTENSION(caching) {
  objects = new kino::shareable_cache(held, 16);
  renew(held, Qnil);
  VALUE const caching = rb_define_module("Caching");
  kino::define_function<number>(caching, "number");
  kino::define_function<object>(caching, "object");
  kino::define_function<find>(caching, "find");
  kino::define_function<erase>(caching, "erase");
  kino::define_function<size>(caching, "size");
  kino::define_function<wait_at_gate>(caching, "wait_at_gate");
  kino::define_function<count_computing>(caching, "computing");
  kino::define_function<open_gate>(caching, "open_gate");
  kino::define_function<renew>(caching, "renew");
}
