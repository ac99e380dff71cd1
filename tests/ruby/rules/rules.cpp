// SPDX-License-Identifier: MIT
//
// Broken rules for the tests: each ends the program with a sentence that names the rule.

#include <kino/dispatch.hpp>
#include <kino/frozen_strings.hpp>
#include <kino/wait.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#ifndef NDEBUG
#error "Ruby's headers define NDEBUG, which is what kino's checks have to survive"
#endif

namespace {

struct question {
  long number = 0;
  kino::responder<long> reply;
};
using dispatcher = kino::dispatcher<question>;

VALUE value_of_no_answer(kino::gvl const&, VALUE) {
  auto [answer, respond] = kino::make_response<long>();
  respond = {};
  return LONG2NUM(answer.wait().value());
}
VALUE push_with_gvl(kino::gvl const&, VALUE) {
  kino::channel<int> numbers(1);
  static_cast<void>(numbers.push(1));
  return Qnil;
}
VALUE pop_with_gvl(kino::gvl const&, VALUE) {
  kino::channel<int> numbers(1);
  int number = 0;
  static_cast<void>(numbers.pop_for(number, std::chrono::milliseconds(1)));
  return Qnil;
}
VALUE wait_with_gvl(kino::gvl const&, VALUE) {
  auto [answer, respond] = kino::make_response<long>();
  static_cast<void>(answer.wait_for(std::chrono::milliseconds(1)));
  return Qnil;
}
VALUE park_with_gvl(kino::gvl const&, VALUE) {
  kino::parker spot;
  static_cast<void>(spot.park_for(std::chrono::milliseconds(1)));
  return Qnil;
}
VALUE submit_with_gvl(kino::gvl const& held, VALUE) {
  dispatcher work(held);
  static_cast<void>(work.submit({1, {}}, std::chrono::milliseconds(1)));
  return Qnil;
}
// What is allowed: all of the above where nothing waits, or without the lock.
VALUE allowed(kino::gvl const& held, VALUE) {
  kino::channel<int> numbers(1);
  int number = 0;
  static_cast<void>(numbers.try_push(1));
  static_cast<void>(numbers.try_pop(number));
  static_cast<void>(kino::pop_for(held, numbers, number, std::chrono::milliseconds(1)));
  auto [answer, respond] = kino::make_response<long>();
  kino::without_gvl(
      held,
      [&] {
        static_cast<void>(numbers.push(2));
        static_cast<void>(numbers.pop(number));
        static_cast<void>(answer.wait_for(std::chrono::milliseconds(1)));
      },
      kino::uninterruptible);
  respond.answer(40);
  return LONG2FIX(answer.wait().value() + number);
}
// A full dispatcher, so that it has to wait: closed by another thread.
VALUE submit_waits(kino::gvl const& held, VALUE) {
  dispatcher work(held, {.capacity = 1});
  static_cast<void>(work.try_submit({1, {}}));
  auto const late = kino::submit_for(held, work, question{2, {}}, std::chrono::milliseconds(1));
  std::thread closer([&] { work.close(); });
  auto const closed = kino::submit(held, work, question{3, {}});
  closer.join();
  return late == kino::push_result::timed_out && closed == kino::push_result::closed ? Qtrue
                                                                                     : Qfalse;
}
VALUE destroy_with_worker(kino::gvl const& held, VALUE) {
  dispatcher work(held);
  static_cast<void>(work.join(held));
  return Qnil;
}
VALUE assume_in_native_thread(kino::gvl const& held, VALUE) {
  std::thread native([] { static_cast<void>(kino::gvl::assume()); });
  kino::without_gvl(held, [&] { native.join(); }, kino::uninterruptible);
  return Qnil;
}
VALUE assume_without_gvl(kino::gvl const& held, VALUE) {
  kino::without_gvl(held, [] { static_cast<void>(kino::gvl::assume()); }, kino::uninterruptible);
  return Qnil;
}
VALUE cache_without_gvl(kino::gvl const& held, VALUE) {
  std::optional<kino::frozen_string_cache> cache;
  cache.emplace(held, std::initializer_list<std::string_view>{"fixed"});
  kino::without_gvl(held, [&] { cache.reset(); }, kino::uninterruptible);
  return Qnil;
}
VALUE shareable_cache_without_gvl(kino::gvl const& held, VALUE) {
  std::optional<kino::shareable_cache> cache;
  cache.emplace(held, 8);
  kino::without_gvl(held, [&] { cache.reset(); }, kino::uninterruptible);
  return Qnil;
}
// It is destroyed after Ruby has ended, when no thread holds a GVL.
VALUE static_cache(kino::gvl const& held, VALUE) {
  static kino::frozen_string_cache cache(held, {"fixed"});
  return cache.find("fixed").value_or(Qnil);
}
// Kept beyond its method, whose Ruby exception has long been handled.
std::exception_ptr kept;
VALUE keep_error(kino::gvl const& held, VALUE) {
  try {
    kino::protect(held, [] { rb_raise(rb_eIOError, "kept"); });
  } catch (kino::ruby_error const&) {
    kept = std::current_exception();
    rb_set_errinfo(Qnil);
  }
  return Qnil;
}
VALUE throw_kept_error(kino::gvl const&, VALUE) { std::rethrow_exception(kept); }

}  // namespace

KINO_EXTENSION(rules) {
  static_cast<void>(held);
  VALUE const rules = rb_define_module("Rules");
  kino::define_function<value_of_no_answer>(rules, "value_of_no_answer");
  kino::define_function<push_with_gvl>(rules, "push_with_gvl");
  kino::define_function<pop_with_gvl>(rules, "pop_with_gvl");
  kino::define_function<wait_with_gvl>(rules, "wait_with_gvl");
  kino::define_function<park_with_gvl>(rules, "park_with_gvl");
  kino::define_function<submit_with_gvl>(rules, "submit_with_gvl");
  kino::define_function<allowed>(rules, "allowed");
  kino::define_function<submit_waits>(rules, "submit_waits");
  kino::define_function<destroy_with_worker>(rules, "destroy_with_worker");
  kino::define_function<assume_in_native_thread>(rules, "assume_in_native_thread");
  kino::define_function<assume_without_gvl>(rules, "assume_without_gvl");
  kino::define_function<cache_without_gvl>(rules, "cache_without_gvl");
  kino::define_function<shareable_cache_without_gvl>(rules, "shareable_cache_without_gvl");
  kino::define_function<static_cache>(rules, "static_cache");
  kino::define_function<keep_error>(rules, "keep_error");
  kino::define_function<throw_kept_error>(rules, "throw_kept_error");
}
