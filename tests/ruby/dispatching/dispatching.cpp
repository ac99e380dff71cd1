// SPDX-License-Identifier: MIT
//
// dispatcher.hpp for the tests: requests are integers; blocks in Ractors and threads answer them.

#include <kino/dispatch.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace {

VALUE truth(bool value) { return value ? Qtrue : Qfalse; }

struct request {
  long number = 0;
  kino::responder<long> reply;
};

// --- Dispatching::Answer: the receiver of one request, and a copy of its responder on demand ---

struct asked {
  static constexpr char const* ruby_name = "Dispatching::Answer";
  asked(kino::receiver<long> pending, kino::responder<long> copy)
      : answer(std::move(pending)), kept(std::move(copy)) {}
  kino::receiver<long> answer;
  kino::responder<long> kept;
};
using answer_object = kino::native_object<asked>;
VALUE answer_class;

VALUE result_of(kino::outcome<long>& outcome) {
  switch (outcome.kind()) {
    case kino::ending::answered: return LONG2FIX(outcome.value());
    case kino::ending::abandoned: return ID2SYM(rb_intern("abandoned"));
    default: return ID2SYM(rb_intern("expired"));
  }
}

VALUE answer_wait(kino::gvl const& held, VALUE self) {
  return result_of(kino::wait(held, answer_object::get(held, self).answer));
}
VALUE answer_ready(kino::gvl const& held, VALUE self) {
  return truth(answer_object::get(held, self).answer.ready());
}
// Drops the receiver, as the collector does when this object is unreachable.
VALUE answer_drop(kino::gvl const& held, VALUE self) {
  { auto const gone = std::move(answer_object::get(held, self).answer); }
  return Qnil;
}
VALUE answer_expire(kino::gvl const& held, VALUE self) {
  return truth(answer_object::get(held, self).kept.expire());
}

// --- Dispatching::Flood: many requests from native threads ---

struct flood {
  static constexpr char const* ruby_name = "Dispatching::Flood";
  std::vector<kino::receiver<long>> answers;
  std::vector<std::thread> askers;
  ~flood() {
    for (std::thread& asker : askers) {
      if (asker.joinable()) asker.detach();
    }
  }
};
using flood_object = kino::native_object<flood>;
VALUE flood_class;

// [answered correctly, answered wrongly, abandoned]; the correct answer is twice the number.
VALUE flood_wait(kino::gvl const& held, VALUE self) {
  flood& asked = flood_object::get(held, self);
  long right = 0;
  long wrong = 0;
  long abandoned = 0;
  for (std::size_t i = 0; i < asked.answers.size(); ++i) {
    kino::outcome<long>& outcome = kino::wait(held, asked.answers[i]);
    if (!outcome.answered()) {
      ++abandoned;
    } else {
      ++(outcome.value() == 2 * static_cast<long>(i) ? right : wrong);
    }
  }
  kino::without_gvl(
      held,
      [&] {
        for (std::thread& asker : asked.askers) asker.join();
      },
      kino::uninterruptible);
  asked.askers.clear();
  return rb_ary_new_from_args(3, LONG2FIX(right), LONG2FIX(wrong), LONG2FIX(abandoned));
}

// --- Dispatching::Dispatcher ---

struct dispatching {
  static constexpr char const* ruby_name = "Dispatching::Dispatcher";
  static constexpr bool ruby_shareable = true;
  dispatching(kino::gvl const& held, kino::dispatcher<request>::options chosen)
      : dispatcher(std::make_shared<kino::dispatcher<request>>(held, chosen)) {}
  // Shared with native threads, which may still submit when Ruby destroys this object at the end of the process.
  std::shared_ptr<kino::dispatcher<request>> dispatcher;
};
using dispatcher_object = kino::native_object<dispatching>;

kino::dispatcher<request>& dispatcher_of(kino::gvl const& held, VALUE self) {
  return *dispatcher_object::get(held, self).dispatcher;
}

VALUE make(kino::gvl const& held, VALUE klass, VALUE capacity, VALUE slots, VALUE concurrency,
           VALUE permits, VALUE slice, VALUE refuse) {
  return dispatcher_object::wrap(
      held, klass,
      std::make_unique<dispatching>(held, kino::dispatcher<request>::options{
                                              .capacity = FIX2ULONG(capacity),
                                              .slots = FIX2ULONG(slots),
                                              .concurrency = FIX2UINT(concurrency),
                                              .permits = RTEST(permits),
                                              .refuse_without_workers = RTEST(refuse),
                                              .slice = std::chrono::milliseconds(
                                                  FIX2LONG(slice))}));
}

VALUE submit_request(kino::gvl const& held, VALUE self, VALUE number, bool keep) {
  auto [answer, respond] = kino::make_response<long>();
  kino::responder<long> copy = keep ? respond : kino::responder<long>();
  switch (dispatcher_of(held, self).try_submit({FIX2LONG(number), std::move(respond)})) {
    case kino::push_result::pushed:
      return answer_object::wrap(held, answer_class,
                                 std::make_unique<asked>(std::move(answer), std::move(copy)));
    case kino::push_result::full: return ID2SYM(rb_intern("full"));
    case kino::push_result::no_workers: return ID2SYM(rb_intern("no_workers"));
    default: return ID2SYM(rb_intern("closed"));
  }
}
VALUE submit(kino::gvl const& held, VALUE self, VALUE number) {
  return submit_request(held, self, number, false);
}
// The Answer keeps the request open as long as it lives, as a request object might.
VALUE submit_and_keep(kino::gvl const& held, VALUE self, VALUE number) {
  return submit_request(held, self, number, true);
}

// Submits 0...count from `threads` native threads.
VALUE submit_many(kino::gvl const& held, VALUE self, VALUE count, VALUE threads) {
  auto made = std::make_unique<flood>();
  std::vector<std::vector<request>> shares(FIX2ULONG(threads));
  for (long number = 0; number < FIX2LONG(count); ++number) {
    auto [answer, respond] = kino::make_response<long>();
    made->answers.push_back(std::move(answer));
    shares[static_cast<std::size_t>(number) % shares.size()].push_back(
        {number, std::move(respond)});
  }
  auto const dispatcher = dispatcher_object::get(held, self).dispatcher;
  for (auto& share : shares) {
    made->askers.emplace_back([dispatcher, share = std::move(share)]() mutable {
      for (request& each : share) {
        if (dispatcher->submit(std::move(each), std::chrono::hours(1)) !=
            kino::push_result::pushed) {
          return;
        }
      }
    });
  }
  return flood_object::wrap(held, flood_class, std::move(made));
}

long answer_of_block(kino::gvl const& held, long number) {
  long answer = 0;
  kino::protect(held, [&] { answer = NUM2LONG(rb_yield(LONG2FIX(number))); });
  return answer;
}

VALUE serve(kino::gvl const& held, VALUE self) {
  dispatcher_of(held, self).serve(held, [&](request& each) {
    each.reply.answer(answer_of_block(held, each.number));
  });
  return Qnil;
}
// The handler calls the block without protect, so exceptions pass it by longjmp.
VALUE serve_unprotected(kino::gvl const& held, VALUE self) {
  dispatcher_of(held, self).serve(held, [](request& each) {
    each.reply.answer(NUM2LONG(rb_yield(LONG2FIX(each.number))));
  });
  return Qnil;
}
// A request without a receiver.
VALUE tell(kino::gvl const& held, VALUE self, VALUE number) {
  return truth(kino::submit(held, dispatcher_of(held, self), request{FIX2LONG(number), {}}) ==
               kino::push_result::pushed);
}
// Answers only if the block returns a number.
VALUE serve_some(kino::gvl const& held, VALUE self) {
  dispatcher_of(held, self).serve(held, [&](request& each) {
    VALUE const number = LONG2FIX(each.number);
    VALUE const answer = kino::protect(held, [number] { return rb_yield(number); });
    if (FIXNUM_P(answer)) each.reply.answer(FIX2LONG(answer));
  });
  return Qnil;
}
VALUE close_it(kino::gvl const& held, VALUE self) {
  dispatcher_of(held, self).close();
  return Qnil;
}
VALUE close_and_discard(kino::gvl const& held, VALUE self) {
  return SIZET2NUM(dispatcher_of(held, self).close(kino::discard_queued));
}
VALUE abandon(kino::gvl const& held, VALUE self, VALUE index, VALUE generation) {
  return SIZET2NUM(
      dispatcher_of(held, self).abandon({FIX2ULONG(index), FIX2ULONG(generation)}));
}
VALUE dismiss(kino::gvl const& held, VALUE self, VALUE index, VALUE generation) {
  return truth(dispatcher_of(held, self).dismiss({FIX2ULONG(index), FIX2ULONG(generation)}));
}
VALUE quarantine(kino::gvl const& held, VALUE self, VALUE index, VALUE generation) {
  return truth(
      dispatcher_of(held, self).quarantine({FIX2ULONG(index), FIX2ULONG(generation)}, true));
}
VALUE queued(kino::gvl const& held, VALUE self) {
  return SIZET2NUM(dispatcher_of(held, self).queued());
}
VALUE dropped(kino::gvl const& held, VALUE self) {
  return ULL2NUM(dispatcher_of(held, self).dropped());
}
VALUE parked(kino::gvl const& held, VALUE self) {
  return UINT2NUM(dispatcher_of(held, self).permits().parked());
}
VALUE running(kino::gvl const& held, VALUE self) {
  return UINT2NUM(dispatcher_of(held, self).permits().running());
}
VALUE wake_count(kino::gvl const& held, VALUE self) {
  return ULL2NUM(dispatcher_of(held, self).permits().wake_count());
}
VALUE watcher_wake_count(kino::gvl const& held, VALUE self) {
  return ULL2NUM(dispatcher_of(held, self).permits().watcher_wake_count());
}
VALUE permits_in_use(kino::gvl const& held, VALUE self) {
  return truth(dispatcher_of(held, self).permits_in_use());
}
// [[occupied, in flight, served, workers], ...]
VALUE slots(kino::gvl const& held, VALUE self) {
  kino::worker_slots const& places = dispatcher_of(held, self).slots();
  return kino::protect(held, [&] {
    VALUE const all = rb_ary_new();
    for (std::size_t i = 0; i < places.size(); ++i) {
      kino::worker_slots::view const seen = places.view_of(i);
      rb_ary_push(all, rb_ary_new_from_args(4, truth(seen.occupied), UINT2NUM(seen.in_flight),
                                            ULL2NUM(seen.served), ULL2NUM(seen.workers)));
    }
    return all;
  });
}

// --- Dispatching::Worker: the steps of `serve`, one by one ---

struct member {
  static constexpr char const* ruby_name = "Dispatching::Worker";
  kino::dispatcher<request>* dispatcher;
  kino::dispatcher<request>::worker* worker;
  request current;
  request batch[kino::dispatcher<request>::batch_limit];
};
using worker_object = kino::native_object<member>;
VALUE worker_class;

VALUE join(kino::gvl const& held, VALUE self) {
  auto& dispatcher = dispatcher_of(held, self);
  auto made = std::make_unique<member>();
  made->dispatcher = &dispatcher;
  made->worker = &dispatcher.join(held);
  return worker_object::wrap(held, worker_class, std::move(made));
}
VALUE taken(kino::take_result result, long number) {
  if (result == kino::take_result::dismissed) return Qfalse;
  return result == kino::take_result::taken ? LONG2FIX(number) : Qnil;
}
VALUE worker_take(kino::gvl const& held, VALUE self) {
  member& me = worker_object::get(held, self);
  kino::take_result const result = me.dispatcher->take(held, *me.worker, me.current);
  return taken(result, me.current.number);
}
VALUE worker_take_batch(kino::gvl const& held, VALUE self, VALUE most) {
  member& me = worker_object::get(held, self);
  std::size_t count = 0;
  if (me.dispatcher->take_batch(held, *me.worker, me.batch, FIX2ULONG(most), count) ==
      kino::take_result::closed) {
    return Qnil;
  }
  return kino::protect(held, [&] {
    VALUE const all = rb_ary_new();
    for (std::size_t i = 0; i < count; ++i) rb_ary_push(all, LONG2FIX(me.batch[i].number));
    return all;
  });
}
// Answers the requests of the last take_batch; returns how many were still open.
VALUE worker_answer_batch(kino::gvl const& held, VALUE self, VALUE answer) {
  long open = 0;
  for (request& each : worker_object::get(held, self).batch) {
    open += each.reply.answer(FIX2LONG(answer));
  }
  return LONG2FIX(open);
}
VALUE worker_answer(kino::gvl const& held, VALUE self, VALUE answer) {
  return truth(worker_object::get(held, self).current.reply.answer(FIX2LONG(answer)));
}
VALUE worker_answer_and_take(kino::gvl const& held, VALUE self, VALUE answer) {
  member& me = worker_object::get(held, self);
  kino::take_result const result =
      me.dispatcher->answer_and_take(held, *me.worker, me.current, FIX2LONG(answer));
  return taken(result, me.current.number);
}
VALUE worker_leave(kino::gvl const& held, VALUE self) {
  member& me = worker_object::get(held, self);
  me.dispatcher->leave(held, *me.worker);
  return Qnil;
}
VALUE worker_index(kino::gvl const& held, VALUE self) {
  return SIZET2NUM(worker_object::get(held, self).worker->index());
}
// [index, generation]
VALUE worker_id(kino::gvl const& held, VALUE self) {
  kino::worker_id const id = worker_object::get(held, self).worker->id();
  return rb_ary_new_from_args(2, SIZET2NUM(id.index), ULL2NUM(id.generation));
}

// --- events that every Ractor may use ---

// Dispatching::Gate: each arriving thread waits until the expected number has arrived.
struct gate {
  static constexpr char const* ruby_name = "Dispatching::Gate";
  static constexpr bool ruby_shareable = true;
  explicit gate(long count) : expected(count), passes(static_cast<std::size_t>(count)) {}
  long const expected;
  std::atomic<long> arrived{0};
  kino::channel<long> passes;
};
using gate_object = kino::native_object<gate>;

VALUE gate_make(kino::gvl const& held, VALUE klass, VALUE count) {
  return gate_object::wrap(held, klass, std::make_unique<gate>(FIX2LONG(count)));
}
VALUE gate_meet(kino::gvl const& held, VALUE self) {
  gate& here = gate_object::get(held, self);
  if (++here.arrived == here.expected) {
    for (long i = 0; i < here.expected; ++i) static_cast<void>(here.passes.try_push(0L));
  }
  long pass = 0;
  static_cast<void>(kino::pop(held, here.passes, pass));
  return Qtrue;
}
VALUE gate_arrived(kino::gvl const& held, VALUE self) {
  return LONG2NUM(gate_object::get(held, self).arrived.load());
}

// Dispatching::Counter: an integer that a loop can read without releasing the GVL.
struct tally {
  static constexpr char const* ruby_name = "Dispatching::Counter";
  static constexpr bool ruby_shareable = true;
  std::atomic<long> count{0};
};
using tally_object = kino::native_object<tally>;

VALUE counter_make(kino::gvl const& held, VALUE klass) {
  return tally_object::wrap(held, klass, std::make_unique<tally>());
}
VALUE counter_add(kino::gvl const& held, VALUE self) {
  return LONG2NUM(++tally_object::get(held, self).count);
}
VALUE counter_value(kino::gvl const& held, VALUE self) {
  return LONG2NUM(tally_object::get(held, self).count.load());
}

// The detected features of this Ruby: [pins threads, has thread storage, has thread events].
VALUE features(kino::gvl const&, VALUE) {
  return rb_ary_new_from_args(3, truth(kino::ruby_pins_threads),
                              truth(kino::ruby_has_thread_storage),
                              truth(kino::ruby_has_thread_events));
}

// Compiles: a request may be a nested type with default member initializers, which C++ evaluates after the class.
class clinic {
public:
  explicit clinic(kino::gvl const& held) : visits_(held), results_(1) {}

private:
  struct visit {
    long number = 0;
    kino::responder<long> reply;
  };
  kino::dispatcher<visit> visits_;
  kino::channel<visit> results_;
};

}  // namespace

KINO_EXTENSION(dispatching) {
  static_cast<void>(held);
  VALUE const dispatching = rb_define_module("Dispatching");
  kino::define_function<features>(dispatching, "features");
  auto const define_class = [dispatching](char const* name) {
    VALUE const made = rb_define_class_under(dispatching, name, rb_cObject);
    rb_undef_alloc_func(made);
    return made;
  };

  VALUE const dispatcher = define_class("Dispatcher");
  kino::define_function<make>(dispatcher, "make");
  kino::define_method<submit>(dispatcher, "submit");
  kino::define_method<submit_and_keep>(dispatcher, "submit_and_keep");
  kino::define_method<submit_many>(dispatcher, "submit_many");
  kino::define_method<serve>(dispatcher, "serve");
  kino::define_method<serve_unprotected>(dispatcher, "serve_unprotected");
  kino::define_method<tell>(dispatcher, "tell");
  kino::define_method<serve_some>(dispatcher, "serve_some");
  kino::define_method<join>(dispatcher, "join");
  kino::define_method<close_it>(dispatcher, "close");
  kino::define_method<close_and_discard>(dispatcher, "close_and_discard");
  kino::define_method<abandon>(dispatcher, "abandon");
  kino::define_method<dismiss>(dispatcher, "dismiss");
  kino::define_method<quarantine>(dispatcher, "quarantine");
  kino::define_method<queued>(dispatcher, "queued");
  kino::define_method<dropped>(dispatcher, "dropped");
  kino::define_method<parked>(dispatcher, "parked");
  kino::define_method<running>(dispatcher, "running");
  kino::define_method<wake_count>(dispatcher, "wake_count");
  kino::define_method<watcher_wake_count>(dispatcher, "watcher_wake_count");
  kino::define_method<permits_in_use>(dispatcher, "permits_in_use?");
  kino::define_method<slots>(dispatcher, "slots");

  worker_class = define_class("Worker");
  kino::define_method<worker_take>(worker_class, "take");
  kino::define_method<worker_take_batch>(worker_class, "take_batch");
  kino::define_method<worker_answer>(worker_class, "answer");
  kino::define_method<worker_answer_batch>(worker_class, "answer_batch");
  kino::define_method<worker_answer_and_take>(worker_class, "answer_and_take");
  kino::define_method<worker_leave>(worker_class, "leave");
  kino::define_method<worker_index>(worker_class, "index");
  kino::define_method<worker_id>(worker_class, "id");

  answer_class = define_class("Answer");
  kino::define_method<answer_wait>(answer_class, "wait");
  kino::define_method<answer_ready>(answer_class, "ready?");
  kino::define_method<answer_drop>(answer_class, "drop");
  kino::define_method<answer_expire>(answer_class, "expire");

  flood_class = define_class("Flood");
  kino::define_method<flood_wait>(flood_class, "wait");

  VALUE const gate = define_class("Gate");
  kino::define_function<gate_make>(gate, "make");
  kino::define_method<gate_meet>(gate, "meet");
  kino::define_method<gate_arrived>(gate, "arrived");

  VALUE const counter = define_class("Counter");
  kino::define_function<counter_make>(counter, "make");
  kino::define_method<counter_add>(counter, "add");
  kino::define_method<counter_value>(counter, "value");
}
