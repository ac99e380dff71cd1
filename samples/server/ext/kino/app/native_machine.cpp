// SPDX-License-Identifier: MIT
//
// What the machine and this Ruby can do.

#include "app/native.hpp"
#include "base/thread_name.hpp"

#include <kino/convert.hpp>
#include <kino/extension.hpp>
#include <kino/ruby_features.hpp>
#include <kino/usable_cpus.hpp>
#include <kino/wait.hpp>

#include <chrono>
#include <string>

namespace kino::server::native {

namespace {

VALUE available_parallelism(gvl const& held, VALUE) {
  return kino::to_ruby(held, kino::usable_cpus());
}

VALUE sleep_exactly(gvl const& held, VALUE, VALUE seconds) {
  auto const duration = seconds_of(held, seconds);
  if (!duration) throw std::invalid_argument("kino: sleep needs a number of seconds");
  kino::sleep(held, std::chrono::duration<double>(*duration));
  return Qnil;
}

VALUE pin_thread(gvl const& held, VALUE) {
  kino::pin_thread(held);
  return Qnil;
}

// Ruby does this itself, when a Thread gets a name, except for pinned ones.
VALUE name_native_thread(gvl const& held, VALUE, VALUE name) {
  auto const text = kino::from_ruby<std::string>(held, name);
  if (kino::ruby_pins_threads) name_this_thread(text.c_str());
  return Qnil;
}

VALUE features(gvl const& held, VALUE) {
  return kino::protect(held, [] {
    VALUE const all = rb_hash_new();
    rb_hash_aset(all, symbol("pinning"), kino::ruby_pins_threads ? Qtrue : Qfalse);
    rb_hash_aset(all, symbol("run_permits"),
                 kino::ruby_has_thread_events ? Qtrue : Qfalse);
    return all;
  });
}

}  // namespace

void define_machine(VALUE native) {
  kino::define_function<available_parallelism>(native, "available_parallelism");
  kino::define_function<sleep_exactly>(native, "sleep");
  kino::define_function<pin_thread>(native, "pin_thread");
  kino::define_function<name_native_thread>(native, "name_native_thread");
  kino::define_function<features>(native, "features");
}

}  // namespace kino::server::native
