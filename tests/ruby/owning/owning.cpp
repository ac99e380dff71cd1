// SPDX-License-Identifier: MIT
//
// native_thread.hpp and shared_answer.hpp for the tests: native objects that own threads.

#include <kino/dispatch.hpp>

#include "../../support/await.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>

namespace {

std::atomic<int> running{0};
std::atomic<int> destroyed{0};
std::atomic<bool> interrupted{false};

// Counts for as long as its thread runs.
struct presence {
  presence() { ++running; }
  ~presence() { --running; }
};

// A thread that waits until it is stopped.
class ticker {
public:
  static constexpr char const* ruby_name = "Owning::Ticker";
  static constexpr bool ruby_owns_threads = true;
  ticker()
      : thread_([this](std::stop_token stop) {
          presence const here;
          std::stop_callback const wake(stop, [this] { ticks_.close(); });
          bool tick = false;
          while (ticks_.pop(tick) == kino::pop_result::popped) ++count_;
        }) {}
  ~ticker() { ++destroyed; }

private:
  kino::channel<bool> ticks_{1};
  long count_ = 0;
  kino::native_thread thread_;
};
using ticker_object = kino::native_object<ticker>;

// A thread that ends only after a Ruby thread has answered it, so a collector must not wait for it.
kino::channel<kino::responder<long>>* requests;
class asker {
public:
  static constexpr char const* ruby_name = "Owning::Asker";
  static constexpr bool ruby_owns_threads = true;
  asker()
      : thread_([](std::stop_token) {
          presence const here;
          auto [answer, respond] = kino::make_response<long>();
          static_cast<void>(requests->try_push(std::move(respond)));
          static_cast<void>(answer.wait());
        }) {}
  ~asker() { ++destroyed; }

private:
  kino::native_thread thread_;
};
using asker_object = kino::native_object<asker>;

VALUE ticker_make(kino::gvl const& held, VALUE klass) {
  return ticker_object::wrap(held, klass, std::make_unique<ticker>());
}
VALUE asker_make(kino::gvl const& held, VALUE klass) {
  return asker_object::wrap(held, klass, std::make_unique<asker>());
}
// Owning.answer: answers one Asker.
VALUE answer(kino::gvl const& held, VALUE) {
  kino::responder<long> respond;
  static_cast<void>(kino::pop(held, *requests, respond));
  return respond.answer(42) ? Qtrue : Qfalse;
}
VALUE count_running(kino::gvl const&, VALUE) { return INT2FIX(running.load()); }
VALUE count_destroyed(kino::gvl const&, VALUE) { return INT2FIX(destroyed.load()); }

// Owning.join_failed: the exception of the work is rethrown by join.
VALUE join_failed(kino::gvl const& held, VALUE) {
  kino::native_thread thread([](std::stop_token) { throw std::out_of_range("no such place"); });
  kino::join(held, thread);
  return Qnil;
}
// Owning.join_forever: the work ends only when the destructor requests it, after an interrupt.
VALUE join_forever(kino::gvl const& held, VALUE) {
  kino::channel<bool> ended(1);
  kino::native_thread thread([&](std::stop_token stop) {
    presence const here;
    std::stop_callback const wake(stop, [&] { ended.close(); });
    bool never = false;
    static_cast<void>(ended.pop(never));
  });
  kino::join(held, thread);
  return Qnil;
}

// Owning.ask_natively: a local native thread, whose request a Ruby thread must answer while the destructor waits.
VALUE ask_natively(kino::gvl const& held, VALUE) {
  kino::native_thread const asking([](std::stop_token) {
    auto [answer, respond] = kino::make_response<long>();
    static_cast<void>(requests->try_push(std::move(respond)));
    static_cast<void>(answer.wait());
  });
  // An interrupt that arrives meanwhile is pending when the destructor begins.
  kino::without_gvl(held, [] { await([] { return interrupted.exchange(false); }); }, kino::uninterruptible);
  return Qtrue;
}
VALUE continue_asking(kino::gvl const&, VALUE) {
  interrupted = true;
  return Qnil;
}

// --- one answer for several Ruby threads ---

std::optional<kino::shared_answer<long>> shared;
std::optional<kino::responder<long>> respond_to_all;

VALUE ask_all(kino::gvl const&, VALUE) {
  auto ends = kino::make_shared_response<long>();
  shared.emplace(std::move(ends.answer));
  respond_to_all.emplace(std::move(ends.respond));
  return Qnil;
}
VALUE wait_for_all(kino::gvl const& held, VALUE) {
  auto const mine = *shared;
  auto const& outcome = kino::wait(held, mine);
  return outcome.answered() ? LONG2NUM(outcome.value()) : Qnil;
}
VALUE wait_a_moment(kino::gvl const& held, VALUE) {
  auto const mine = *shared;
  return kino::wait_for(held, mine, std::chrono::milliseconds(1)) ? Qtrue : Qfalse;
}
VALUE answer_all(kino::gvl const&, VALUE, VALUE number) {
  return respond_to_all->answer(FIX2LONG(number)) ? Qtrue : Qfalse;
}

}  // namespace

KINO_EXTENSION(owning) {
  requests = new kino::channel<kino::responder<long>>(16);
  VALUE const owning = rb_define_module("Owning");
  for (char const* name : {"Ticker", "Asker"}) {
    rb_undef_alloc_func(rb_define_class_under(owning, name, rb_cObject));
  }
  kino::define_function<ticker_make>(rb_const_get(owning, rb_intern("Ticker")), "make");
  kino::define_function<asker_make>(rb_const_get(owning, rb_intern("Asker")), "make");
  kino::define_function<answer>(owning, "answer");
  kino::define_function<count_running>(owning, "running");
  kino::define_function<count_destroyed>(owning, "destroyed");
  kino::define_function<join_failed>(owning, "join_failed");
  kino::define_function<join_forever>(owning, "join_forever");
  kino::define_function<ask_natively>(owning, "ask_natively");
  kino::define_function<continue_asking>(owning, "continue_asking");
  kino::define_function<ask_all>(owning, "ask_all");
  kino::define_function<wait_for_all>(owning, "wait_for_all");
  kino::define_function<wait_a_moment>(owning, "wait_a_moment");
  kino::define_function<answer_all>(owning, "answer_all");
}
