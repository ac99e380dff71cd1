// SPDX-License-Identifier: MIT
//
// The cost of crossing between Ruby and C++, in nanoseconds per call.

#include <kino/dispatch.hpp>

#include <ruby/thread.h>

#include <chrono>
#include <string_view>

namespace {

kino::frozen_string_cache* cache;
constexpr std::string_view key = "HTTP_ACCEPT_LANGUAGE";
constexpr std::string_view other = "en-GB,en;q=0.8";

template <class Once>
VALUE cost(VALUE calls, Once once) {
  long const count = NUM2LONG(calls);
  auto const began = std::chrono::steady_clock::now();
  for (long i = 0; i < count; ++i) once();
  std::chrono::duration<double, std::nano> const took = std::chrono::steady_clock::now() - began;
  return rb_float_new(took.count() / static_cast<double>(count));
}

VALUE find(kino::gvl const&, VALUE, VALUE calls) {
  return cost(calls, [] {
    VALUE found = *cache->find(key);
    RB_GC_GUARD(found);
  });
}

VALUE intern(kino::gvl const& held, VALUE, VALUE calls) {
  return cost(calls, [&] {
    VALUE found = cache->intern(held, other);
    RB_GC_GUARD(found);
  });
}

VALUE ruby_interned(kino::gvl const&, VALUE, VALUE calls) {
  return cost(calls, [] {
    VALUE found = rb_interned_str(key.data(), static_cast<long>(key.size()));
    RB_GC_GUARD(found);
  });
}

VALUE ruby_new(kino::gvl const&, VALUE, VALUE calls) {
  return cost(calls, [] {
    VALUE made = rb_str_new(key.data(), static_cast<long>(key.size()));
    RB_GC_GUARD(made);
  });
}

VALUE release(kino::gvl const& held, VALUE, VALUE calls) {
  return cost(calls, [&] { kino::without_gvl(held, [] {}, kino::uninterruptible); });
}

VALUE ruby_release(kino::gvl const&, VALUE, VALUE calls) {
  return cost(calls, [] {
    rb_thread_call_without_gvl([](void*) -> void* { return nullptr; }, nullptr, RUBY_UBF_IO, nullptr);
  });
}

}  // namespace

KINO_EXTENSION(micro_bench) {
  cache = new kino::frozen_string_cache(held, {"REQUEST_METHOD", "PATH_INFO", key, "HTTP_HOST"});
  VALUE const module = rb_define_module("MicroBench");
  kino::define_function<find>(module, "find");
  kino::define_function<intern>(module, "intern");
  kino::define_function<ruby_interned>(module, "ruby_interned");
  kino::define_function<ruby_new>(module, "ruby_new");
  kino::define_function<release>(module, "release");
  kino::define_function<ruby_release>(module, "ruby_release");
}
