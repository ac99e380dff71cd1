// SPDX-License-Identifier: MIT
//
// gvl.hpp and wait.hpp for the tests: every wait as a Ruby method with a live C++ object on its stack.

#include <kino/dispatch.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <thread>

#include <csignal>
#include <unistd.h>

namespace {

using std::chrono::milliseconds;

VALUE truth(bool value) { return value ? Qtrue : Qfalse; }

// Counts its live objects: zero proves that all destructors ran.
std::atomic<long> alive{0};
struct witness {
  witness() { ++alive; }
  witness(witness const&) = delete;
  ~witness() { --alive; }
};

milliseconds milliseconds_of(kino::gvl const& held, VALUE number) {
  long count = 0;
  kino::protect(held, [&] { count = NUM2LONG(number); });
  return milliseconds{count};
}

// --- Waits::Channel: integers ---

struct numbers {
  static constexpr char const* ruby_name = "Waits::Channel";
  static constexpr bool ruby_shareable = true;
  explicit numbers(std::size_t capacity) : channel(capacity) {}
  kino::channel<long> channel;
};
using channel_object = kino::native_object<numbers>;

VALUE result_of(kino::pop_result result, long number) {
  switch (result) {
    case kino::pop_result::popped: return LONG2FIX(number);
    case kino::pop_result::closed: return ID2SYM(rb_intern("closed"));
    case kino::pop_result::timed_out: return ID2SYM(rb_intern("timed_out"));
    default: return ID2SYM(rb_intern("empty"));
  }
}
VALUE result_of(kino::push_result result) {
  switch (result) {
    case kino::push_result::pushed: return ID2SYM(rb_intern("pushed"));
    case kino::push_result::closed: return ID2SYM(rb_intern("closed"));
    case kino::push_result::timed_out: return ID2SYM(rb_intern("timed_out"));
    default: return ID2SYM(rb_intern("full"));
  }
}

VALUE channel_make(kino::gvl const& held, VALUE klass, VALUE capacity) {
  return channel_object::wrap(
      held, klass, std::make_unique<numbers>(static_cast<std::size_t>(FIX2LONG(capacity))));
}
VALUE channel_pop(kino::gvl const& held, VALUE self) {
  witness const here;
  long number = 0;
  kino::pop_result const result = kino::pop(held, channel_object::get(held, self).channel, number);
  return result_of(result, number);
}
VALUE channel_pop_for(kino::gvl const& held, VALUE self, VALUE patience) {
  witness const here;
  long number = 0;
  kino::pop_result const result = kino::pop_for(held, channel_object::get(held, self).channel,
                                                number, milliseconds_of(held, patience));
  return result_of(result, number);
}
VALUE channel_try_pop(kino::gvl const& held, VALUE self) {
  long number = 0;
  return result_of(channel_object::get(held, self).channel.try_pop(number), number);
}
VALUE channel_push(kino::gvl const& held, VALUE self, VALUE value) {
  witness const here;
  long number = FIX2LONG(value);
  return result_of(
      kino::push(held, channel_object::get(held, self).channel, std::move(number)));
}
VALUE channel_push_for(kino::gvl const& held, VALUE self, VALUE value, VALUE patience) {
  witness const here;
  long number = FIX2LONG(value);
  return result_of(kino::push_for(held, channel_object::get(held, self).channel,
                                  std::move(number), milliseconds_of(held, patience)));
}
VALUE channel_close(kino::gvl const& held, VALUE self) {
  channel_object::get(held, self).channel.close();
  return Qnil;
}
VALUE channel_size(kino::gvl const& held, VALUE self) {
  return SIZET2NUM(channel_object::get(held, self).channel.size());
}
VALUE channel_wake_count(kino::gvl const& held, VALUE self) {
  return ULL2NUM(channel_object::get(held, self).channel.wake_count());
}

// --- Waits::Answer: the responder and the receiver of one request ---

struct asked {
  static constexpr char const* ruby_name = "Waits::Answer";
  static constexpr bool ruby_shareable = true;
  explicit asked(kino::response_ends<long> ends)
      : answer(std::move(ends.answer)), respond(std::move(ends.respond)) {}
  kino::receiver<long> answer;
  kino::responder<long> respond;
};
using answer_object = kino::native_object<asked>;

VALUE result_of(kino::outcome<long>* outcome) {
  if (!outcome) return Qnil;
  switch (outcome->kind()) {
    case kino::ending::answered: return LONG2FIX(outcome->value());
    case kino::ending::abandoned: return ID2SYM(rb_intern("abandoned"));
    default: return ID2SYM(rb_intern("expired"));
  }
}

VALUE answer_make(kino::gvl const& held, VALUE klass) {
  return answer_object::wrap(held, klass, std::make_unique<asked>(kino::make_response<long>()));
}
VALUE answer_wait(kino::gvl const& held, VALUE self) {
  witness const here;
  return result_of(&kino::wait(held, answer_object::get(held, self).answer));
}
VALUE answer_wait_for(kino::gvl const& held, VALUE self, VALUE patience) {
  witness const here;
  return result_of(kino::wait_for(held, answer_object::get(held, self).answer,
                                  milliseconds_of(held, patience)));
}
VALUE answer_answer(kino::gvl const& held, VALUE self, VALUE number) {
  return truth(answer_object::get(held, self).respond.answer(FIX2LONG(number)));
}
VALUE answer_abandon(kino::gvl const& held, VALUE self) {
  return truth(answer_object::get(held, self).respond.abandon());
}

// --- Waits::Parker: one thread's place to sleep ---

struct sleeping_place {
  static constexpr char const* ruby_name = "Waits::Parker";
  static constexpr bool ruby_shareable = true;
  kino::parker spot;
};
using parker_object = kino::native_object<sleeping_place>;

VALUE parker_make(kino::gvl const& held, VALUE klass) {
  return parker_object::wrap(held, klass, std::make_unique<sleeping_place>());
}
VALUE parker_park(kino::gvl const& held, VALUE self) {
  witness const here;
  kino::park(held, parker_object::get(held, self).spot);
  return ID2SYM(rb_intern("notified"));
}
VALUE parker_park_for(kino::gvl const& held, VALUE self, VALUE patience) {
  witness const here;
  auto const woken =
      kino::park_for(held, parker_object::get(held, self).spot, milliseconds_of(held, patience));
  return ID2SYM(woken == kino::park_result::notified ? rb_intern("notified")
                                                     : rb_intern("timed_out"));
}
VALUE parker_notify(kino::gvl const& held, VALUE self) {
  parker_object::get(held, self).spot.notify();
  return Qnil;
}

// --- Waits::Level: a number that only rises ---

struct level {
  static constexpr char const* ruby_name = "Waits::Level";
  static constexpr bool ruby_shareable = true;
  std::atomic<long> reached{0};
  kino::condition changed;
};
using level_object = kino::native_object<level>;

VALUE level_make(kino::gvl const& held, VALUE klass) {
  return level_object::wrap(held, klass, std::make_unique<level>());
}
VALUE level_rise(kino::gvl const& held, VALUE self) {
  level& here = level_object::get(held, self);
  ++here.reached;
  here.changed.notify_all();
  return Qnil;
}
VALUE level_await(kino::gvl const& held, VALUE self, VALUE number) {
  witness const here;
  level& awaited = level_object::get(held, self);
  kino::wait(held, awaited.changed, [&] { return awaited.reached >= FIX2LONG(number); });
  return number;
}
VALUE level_await_for(kino::gvl const& held, VALUE self, VALUE number, VALUE patience) {
  witness const here;
  level& awaited = level_object::get(held, self);
  auto done = [&] { return awaited.reached >= FIX2LONG(number); };
  return truth(kino::wait_for(held, awaited.changed, milliseconds_of(held, patience), done));
}
// The predicate raises when it is evaluated for the second time: registered, and with the GVL held.
VALUE level_await_raising(kino::gvl const& held, VALUE self) {
  witness const here;
  int evaluated = 0;
  kino::wait(held, level_object::get(held, self).changed, [&] {
    witness const there;
    if (++evaluated == 2) kino::protect(held, [] { rb_raise(rb_eIOError, "in the predicate"); });
    return false;
  });
  return Qnil;
}

// --- functions ---

VALUE sleep_for(kino::gvl const& held, VALUE, VALUE patience) {
  witness const here;
  kino::sleep(held, milliseconds_of(held, patience));
  return Qtrue;
}

// Blocks in other native code than kino's until Ruby interrupts it.
VALUE until_unblocked(kino::gvl const& held, VALUE) {
  witness const here;
  std::atomic<bool> asked_to_stop{false};
  kino::without_gvl(
      held,
      [&] {
        witness const there;
        asked_to_stop.wait(false);
      },
      [&] {
        asked_to_stop = true;
        asked_to_stop.notify_all();
      });
  held.check_interrupts();
  return ID2SYM(rb_intern("unblocked"));
}

// Sends the process a signal, and releases the GVL repeatedly until the signal is pending. Returns whether the work ran
// exactly as often as the return values reported.
VALUE try_without_gvl(kino::gvl const& held, VALUE, VALUE signal) {
  ::kill(::getpid(), FIX2INT(signal));
  long ran = 0;
  long reported = 0;
  auto work = [&]() noexcept { ++ran; };
  while (kino::try_without_gvl(held, work, kino::uninterruptible)) ++reported;
  return truth(ran == reported);
}

VALUE throw_without_gvl(kino::gvl const& held, VALUE) {
  witness const here;
  int const nothing = kino::without_gvl(
      held,
      []() -> int {
        witness const there;
        throw std::out_of_range("thrown without the lock");
      },
      kino::uninterruptible);
  return INT2FIX(nothing);
}

// Like a push that runs out of memory while it waits.
VALUE throw_in_wait(kino::gvl const& held, VALUE) {
  witness const here;
  kino::parker spot;
  auto const result = kino::detail::wait_without_gvl(
      held, spot, std::nullopt, [](kino::detail::deadline) -> kino::push_result {
        witness const there;
        throw std::bad_alloc();
      });
  return result_of(result);
}

// Calls the block with C++ objects on both sides of it.
VALUE yield_under_witness(kino::gvl const& held, VALUE) {
  witness const outer;
  VALUE const result = kino::protect(held, [] { return rb_yield(Qnil); });
  witness const inner;
  return result;
}

// Yields each popped number until the channel is closed.
VALUE each_popped(kino::gvl const& held, VALUE, VALUE channel) {
  witness const here;
  kino::channel<long>& source = channel_object::get(held, channel).channel;
  for (;;) {
    witness const there;
    long number = 0;
    if (kino::pop(held, source, number) != kino::pop_result::popped) return Qnil;
    kino::protect(held, [number] { rb_yield(LONG2FIX(number)); });
  }
}

VALUE count_alive(kino::gvl const&, VALUE) { return LONG2NUM(alive.load()); }

VALUE pin_to_wait(kino::gvl const& held, VALUE) {
  kino::pin_waiting_thread(held);
  return Qnil;
}
VALUE pin(kino::gvl const&, VALUE) {
  kino::detail::pin_thread();
  return Qnil;
}

}  // namespace

KINO_EXTENSION(waits) {
  VALUE const waits = rb_define_module("Waits");
  kino::define_function<sleep_for>(waits, "sleep_for");
  kino::define_function<until_unblocked>(waits, "until_unblocked");
  kino::define_function<try_without_gvl>(waits, "try_without_gvl");
  kino::define_function<throw_without_gvl>(waits, "throw_without_gvl");
  kino::define_function<throw_in_wait>(waits, "throw_in_wait");
  kino::define_function<yield_under_witness>(waits, "yield_under_witness");
  kino::define_function<each_popped>(waits, "each_popped");
  kino::define_function<count_alive>(waits, "alive");
  kino::define_function<pin>(waits, "pin");
  kino::define_function<pin_to_wait>(waits, "pin_to_wait");

  VALUE const channel = rb_define_class_under(waits, "Channel", rb_cObject);
  rb_undef_alloc_func(channel);
  kino::define_function<channel_make>(channel, "make");
  kino::define_method<channel_pop>(channel, "pop");
  kino::define_method<channel_pop_for>(channel, "pop_for");
  kino::define_method<channel_try_pop>(channel, "try_pop");
  kino::define_method<channel_push>(channel, "push");
  kino::define_method<channel_push_for>(channel, "push_for");
  kino::define_method<channel_close>(channel, "close");
  kino::define_method<channel_size>(channel, "size");
  kino::define_method<channel_wake_count>(channel, "wake_count");

  VALUE const answer = rb_define_class_under(waits, "Answer", rb_cObject);
  rb_undef_alloc_func(answer);
  kino::define_function<answer_make>(answer, "make");
  kino::define_method<answer_wait>(answer, "wait");
  kino::define_method<answer_wait_for>(answer, "wait_for");
  kino::define_method<answer_answer>(answer, "answer");
  kino::define_method<answer_abandon>(answer, "abandon");

  VALUE const parker = rb_define_class_under(waits, "Parker", rb_cObject);
  rb_undef_alloc_func(parker);
  kino::define_function<parker_make>(parker, "make");
  kino::define_method<parker_park>(parker, "park");
  kino::define_method<parker_park_for>(parker, "park_for");
  kino::define_method<parker_notify>(parker, "notify");

  VALUE const rising = level_object::define_class(held, waits, "Level");
  kino::define_function<level_make>(rising, "make");
  kino::define_method<level_rise>(rising, "rise");
  kino::define_method<level_await>(rising, "await");
  kino::define_method<level_await_for>(rising, "await_for");
  kino::define_method<level_await_raising>(rising, "await_raising");
}
