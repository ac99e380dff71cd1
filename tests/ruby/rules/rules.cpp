// SPDX-License-Identifier: MIT
//
// Violated preconditions for the tests: each function ends the program with a message that names the rule.

#include <kino/broadcast.hpp>
#include <kino/dispatch.hpp>
#include <kino/frozen_strings.hpp>
#include <kino/wait.hpp>

#include "../../support/await.hpp"
#include "../../support/private_access.hpp"

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#ifndef NDEBUG
#error "Ruby's headers define NDEBUG, which is what kino's checks have to survive"
#endif

KINO_TEST_REACH(consumers_of, kino::channel<int>, consumers_)

namespace {

struct request {
  long number = 0;
  kino::responder<long> reply;
};
using dispatcher = kino::dispatcher<request>;

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
// All of the above is allowed if it does not block, or without the GVL.
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
// Blocks on a full dispatcher until another thread closes it.
VALUE submit_waits(kino::gvl const& held, VALUE) {
  dispatcher work(held, {.capacity = 1});
  static_cast<void>(work.try_submit({1, {}}));
  auto const late = kino::submit_for(held, work, request{2, {}}, std::chrono::milliseconds(1));
  std::thread closer([&] { work.close(); });
  auto const closed = kino::submit(held, work, request{3, {}});
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
VALUE empty_shareable(kino::gvl const& held, VALUE) { return kino::shareable().value(held); }
VALUE set_with_shareables(kino::gvl const& held, VALUE self) {
  kino::shareable kept;
  kino::shareable_set set(held);
  kept = set.keep(held, self);
  return Qnil;
}
// Destroyed after Ruby has ended, when no thread holds a GVL.
VALUE static_cache(kino::gvl const& held, VALUE) {
  static kino::frozen_string_cache cache(held, {"fixed"});
  return cache.find("fixed").value_or(Qnil);
}
// Outlives its method, whose Ruby exception has been handled.
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


// Passes the token of a call to another thread, for which it proves nothing.
template <class Use>
VALUE in_native_thread(kino::gvl const& held, Use use) {
  std::thread native([&] { use(held); });
  kino::without_gvl(held, [&] { native.join(); }, kino::uninterruptible);
  return Qnil;
}
VALUE protect_in_native_thread(kino::gvl const& held, VALUE) {
  return in_native_thread(held, [](kino::gvl const& kept) {
    kino::protect(kept, [] { return rb_str_new_cstr("text"); });
  });
}
VALUE wait_in_native_thread(kino::gvl const& held, VALUE) {
  return in_native_thread(held, [](kino::gvl const& kept) {
    kino::channel<int> numbers(1);
    int number = 0;
    static_cast<void>(kino::pop_for(kept, numbers, number, std::chrono::hours(1)));
  });
}
VALUE boundary_in_native_thread(kino::gvl const& held, VALUE) {
  return in_native_thread(held, [](kino::gvl const&) {
    kino::boundary([](kino::gvl const&) { return Qnil; });
  });
}
VALUE serve_in_native_thread(kino::gvl const& held, VALUE) {
  return in_native_thread(held, [](kino::gvl const& kept) {
    static dispatcher* const work = new dispatcher(kept);
    work->serve(kept, [](request&) {});
  });
}
VALUE protect_without_gvl(kino::gvl const& held, VALUE) {
  kino::without_gvl(
      held, [&] { kino::protect(held, [] { return rb_str_new_cstr("text"); }); },
      kino::uninterruptible);
  return Qnil;
}
VALUE release_twice(kino::gvl const& held, VALUE) {
  kino::without_gvl(
      held, [&] { kino::without_gvl(held, [] {}, kino::uninterruptible); }, kino::uninterruptible);
  return Qnil;
}

VALUE shared_wait_with_gvl(kino::gvl const&, VALUE) {
  auto [answer, respond] = kino::make_shared_response<long>();
  static_cast<void>(answer.wait_for(std::chrono::milliseconds(1)));
  return Qnil;
}
VALUE fetch_with_gvl(kino::gvl const& held, VALUE) {
  kino::shared_cache<int> cache(1);
  std::promise<void> computes;
  std::promise<void> known;
  kino::native_thread other([&](std::stop_token) {
    auto compute = [&] {
      computes.set_value();
      known.get_future().wait();
      return 1;
    };
    static_cast<void>(cache.fetch("key", compute));
  });
  kino::without_gvl(held, [&] { computes.get_future().wait(); }, kino::uninterruptible);
  static_cast<void>(cache.fetch("key", [] { return 2; }));
  return Qnil;
}
VALUE join_with_gvl(kino::gvl const&, VALUE) {
  kino::channel<int> numbers(1);
  kino::native_thread popping([&](std::stop_token) {
    int number = 0;
    static_cast<void>(numbers.pop(number));
  });
  popping.join();
  return Qnil;
}
VALUE join_itself(kino::gvl const& held, VALUE) {
  kino::native_thread mine;
  std::promise<void> made;
  mine = kino::native_thread([&](std::stop_token) {
    made.get_future().wait();
    mine.join();
  });
  made.set_value();
  kino::join(held, mine);
  return Qnil;
}

VALUE take_after_leave(kino::gvl const& held, VALUE) {
  dispatcher work(held);
  auto& self = work.join(held);
  work.leave(held, self);
  request taken;
  static_cast<void>(work.take(held, self, taken));
  return Qnil;
}
dispatcher* shared_work;
dispatcher::worker* shared_worker;
VALUE join_for_others(kino::gvl const& held, VALUE) {
  shared_work = new dispatcher(held);
  shared_worker = &shared_work->join(held);
  return Qnil;
}
VALUE take_for_another(kino::gvl const& held, VALUE) {
  request taken;
  static_cast<void>(shared_work->take(held, *shared_worker, taken));
  return Qnil;
}

VALUE wait_for_moved(kino::gvl const& held, VALUE) {
  auto [answer, respond] = kino::make_response<long>();
  auto const taken = std::move(answer);
  static_cast<void>(kino::wait(held, answer));
  return Qnil;
}
VALUE moved_subscriber(kino::gvl const&, VALUE) {
  kino::broadcast<int> prices(1);
  auto screen = prices.subscribe();
  auto const taken = std::move(screen);
  int price = 0;
  static_cast<void>(screen.try_pop(price));
  return Qnil;
}
VALUE empty_pin(kino::gvl const&, VALUE) {
  kino::registry<std::string> names;
  return LONG2NUM(static_cast<long>(names.find(17)->size()));
}
VALUE pin_outlives(kino::gvl const&, VALUE) {
  kino::registry<std::string>::pin name;
  kino::registry<std::string> names;
  name = names.find(names.insert("amber"));
  return Qnil;  // `names` goes first
}
VALUE channel_with_sleeper(kino::gvl const&, VALUE) {
  auto numbers = std::make_unique<kino::channel<int>>(1);
  std::thread([&used = *numbers] {
    int number = 0;
    static_cast<void>(used.pop(number));
  }).detach();
  await([&] { return consumers_of(*numbers).read().parked == 1; });
  return Qnil;
}
VALUE null_text(kino::gvl const& held, VALUE) {
  char const* volatile none = nullptr;
  return kino::to_ruby(held, none);
}
VALUE undefined_result(kino::gvl const&, VALUE) { return Qundef; }

VALUE swallow(kino::gvl const& held, VALUE) {
  try {
    kino::protect(held, [] { return rb_yield(Qnil); });
  } catch (...) {
  }
  return Qnil;
}
VALUE replace(kino::gvl const& held, VALUE) {
  try {
    return kino::protect(held, [] { return rb_yield(Qnil); });
  } catch (...) {
    throw std::runtime_error("replaced");
  }
}
VALUE rescue(kino::gvl const& held, VALUE) {
  try {
    return kino::protect(held, [] { return rb_yield(Qnil); });
  } catch (kino::ruby_error const&) {
    rb_set_errinfo(Qnil);
    return Qfalse;
  }
}
// The handler swallows the block's exception.
VALUE swallow_in_handler(kino::gvl const& held, VALUE) {
  dispatcher work(held);
  static_cast<void>(work.try_submit({1, {}}));
  work.serve(held, [&](request&) {
    try {
      kino::protect(held, [] { return rb_yield(Qnil); });
    } catch (...) {
    }
  });
  return Qnil;
}

struct owner {
  static constexpr char const* ruby_name = "Owner";
  kino::native_thread thread{[](std::stop_token) {}};
};
VALUE lose_an_owner(kino::gvl const& held, VALUE) {
  VALUE const klass = rb_class_new(rb_cObject);
  rb_undef_alloc_func(klass);
  static_cast<void>(kino::native_object<owner>::wrap(held, klass, std::make_unique<owner>()));
  return Qnil;
}

}  // namespace

KINO_EXTENSION(rules) {
  static_cast<void>(held);
  VALUE const rules = rb_define_module("Rules");
  kino::define_function<protect_in_native_thread>(rules, "protect_in_native_thread");
  kino::define_function<wait_in_native_thread>(rules, "wait_in_native_thread");
  kino::define_function<boundary_in_native_thread>(rules, "boundary_in_native_thread");
  kino::define_function<serve_in_native_thread>(rules, "serve_in_native_thread");
  kino::define_function<protect_without_gvl>(rules, "protect_without_gvl");
  kino::define_function<release_twice>(rules, "release_twice");
  kino::define_function<shared_wait_with_gvl>(rules, "shared_wait_with_gvl");
  kino::define_function<fetch_with_gvl>(rules, "fetch_with_gvl");
  kino::define_function<join_with_gvl>(rules, "join_with_gvl");
  kino::define_function<join_itself>(rules, "join_itself");
  kino::define_function<take_after_leave>(rules, "take_after_leave");
  kino::define_function<join_for_others>(rules, "join_for_others");
  kino::define_function<take_for_another>(rules, "take_for_another");
  kino::define_function<wait_for_moved>(rules, "wait_for_moved");
  kino::define_function<moved_subscriber>(rules, "moved_subscriber");
  kino::define_function<empty_pin>(rules, "empty_pin");
  kino::define_function<pin_outlives>(rules, "pin_outlives");
  kino::define_function<channel_with_sleeper>(rules, "channel_with_sleeper");
  kino::define_function<null_text>(rules, "null_text");
  kino::define_function<undefined_result>(rules, "undefined_result");
  kino::define_function<swallow>(rules, "swallow");
  kino::define_function<replace>(rules, "replace");
  kino::define_function<rescue>(rules, "rescue");
  kino::define_function<swallow_in_handler>(rules, "swallow_in_handler");
  kino::define_function<lose_an_owner>(rules, "lose_an_owner");
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
  kino::define_function<empty_shareable>(rules, "empty_shareable");
  kino::define_function<set_with_shareables>(rules, "set_with_shareables");
  kino::define_function<static_cache>(rules, "static_cache");
  kino::define_function<keep_error>(rules, "keep_error");
  kino::define_function<throw_kept_error>(rules, "throw_kept_error");
}
