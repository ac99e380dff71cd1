// SPDX-License-Identifier: MIT
//
// Actors::Ref and Actors::RunQueue: actors, their relations, their end, and the waits of the threads that run them.

#include "ref.hpp"

#include <kino/usable_cpus.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace {

VALUE ref_class = Qnil;

struct queue_holder {
  static constexpr char const* ruby_name = "Actors::RunQueue";
  static constexpr bool ruby_shareable = true;
  std::shared_ptr<run_queue> const queue = std::make_shared<run_queue>();
};
using queue_object = kino::native_object<queue_holder>;

// nil: without limit.
std::optional<std::chrono::steady_clock::time_point> deadline_after(kino::gvl const& held, VALUE seconds) {
  if (NIL_P(seconds)) return std::nullopt;
  double const limit = std::min(kino::from_ruby<double>(held, seconds), 1e9);
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(limit));
}

VALUE create(kino::gvl const& held, VALUE, VALUE label, VALUE capacity, VALUE queue) {
  std::shared_ptr<run_queue> home;
  if (!NIL_P(queue)) home = queue_object::get(held, queue).queue;
  return make_ref(held, std::make_shared<mailbox>(kino::from_ruby<std::string>(held, label),
                                                  kino::from_ruby<std::size_t>(held, capacity), std::move(home)));
}

VALUE id(kino::gvl const& held, VALUE self) { return kino::to_ruby(held, box_of(held, self)->id()); }
VALUE label(kino::gvl const& held, VALUE self) { return kino::to_ruby(held, box_of(held, self)->label()); }
VALUE is_alive(kino::gvl const& held, VALUE self) { return kino::to_ruby(held, !box_of(held, self)->dead()); }
VALUE size(kino::gvl const& held, VALUE self) { return kino::to_ruby(held, box_of(held, self)->size()); }
VALUE arrived(kino::gvl const& held, VALUE self) { return kino::to_ruby(held, box_of(held, self)->arrived()); }

// Why the actor has ended; nil if it is alive.
VALUE reason(kino::gvl const& held, VALUE self) {
  auto const& box = box_of(held, self);
  return box->dead() && box->reason() ? box->reason().value(held) : Qnil;
}

VALUE finish(kino::gvl const& held, VALUE, VALUE ref, VALUE reason) {
  kino::shareable why = kept_objects->keep(held, reason);
  return kino::to_ruby(held, box_of(held, ref)->finish(std::move(why)));
}

VALUE begin_end(kino::gvl const& held, VALUE, VALUE ref) {
  box_of(held, ref)->begin_end();
  return Qnil;
}
VALUE is_ending(kino::gvl const& held, VALUE, VALUE ref) { return kino::to_ruby(held, box_of(held, ref)->ending()); }

VALUE next_number(kino::gvl const& held, VALUE) {
  static std::atomic<std::uint64_t> last{0};
  return kino::to_ruby(held, ++last);
}
VALUE usable_cpus(kino::gvl const& held, VALUE) { return kino::to_ruby(held, kino::usable_cpus()); }
VALUE watch(kino::gvl const& held, VALUE, VALUE watched, VALUE watcher, VALUE number) {
  mailbox::watch(box_of(held, watched), box_of(held, watcher), kino::from_ruby<std::uint64_t>(held, number));
  return number;
}
VALUE forget(kino::gvl const& held, VALUE, VALUE ref, VALUE number) {
  box_of(held, ref)->forget(kino::from_ruby<std::uint64_t>(held, number));
  return Qnil;
}
VALUE link_actors(kino::gvl const& held, VALUE, VALUE one, VALUE other, VALUE number) {
  return kino::to_ruby(held, mailbox::link(box_of(held, one), box_of(held, other),
                                           kino::from_ruby<std::uint64_t>(held, number)));
}

VALUE unlink_actors(kino::gvl const& held, VALUE, VALUE one, VALUE other) {
  box_of(held, one)->unlink(*box_of(held, other));
  return Qnil;
}
// Of the actor's monitors and links, for tests.
VALUE relation_count(kino::gvl const& held, VALUE, VALUE ref) {
  return kino::to_ruby(held, box_of(held, ref)->relation_count());
}

VALUE wake(kino::gvl const& held, VALUE, VALUE ref) {
  box_of(held, ref)->wake();
  return Qnil;
}
// Waits until the actor is woken: at most `seconds`. Only for an actor with a thread of its own, in that thread.
VALUE park(kino::gvl const& held, VALUE, VALUE ref, VALUE seconds) {
  std::shared_ptr<mailbox> const box = box_of(held, ref);
  auto const until = deadline_after(held, seconds);
  box->born().expect_same_process("actor");
  kino::pin_waiting_thread(held);
  static_cast<void>(kino::park_until(held, box->spot(), until));
  return Qnil;
}
// Whether `sender` will be woken when there is room; false if there is room, or the actor is dead.
VALUE wake_on_room(kino::gvl const& held, VALUE, VALUE ref, VALUE sender) {
  return kino::to_ruby(held, box_of(held, ref)->wake_on_room(box_of(held, sender)));
}

VALUE create_queue(kino::gvl const& held, VALUE klass) {
  return queue_object::wrap_shareable(held, klass, std::make_unique<queue_holder>());
}
VALUE is_empty(kino::gvl const& held, VALUE self) { return kino::to_ruby(held, queue_object::get(held, self).queue->empty()); }
// Gives an actor's first turn to its worker, with what the worker needs to know. Returns true.
VALUE start(kino::gvl const& held, VALUE, VALUE ref, VALUE plan) {
  auto const& box = box_of(held, ref);
  box->plan = kept_objects->keep(held, plan);
  box->wake();
  return Qtrue;
}
// The same for a queue of plans whose actors are run by threads of their own.
VALUE push_plan(kino::gvl const& held, VALUE, VALUE queue, VALUE plan) {
  auto carrier = std::make_shared<mailbox>("", 1, nullptr);
  carrier->plan = kept_objects->keep(held, plan);
  queue_object::get(held, queue).queue->push(std::move(carrier));
  return Qnil;
}
// What the next actor was started with, or its id if this is not its first turn. Waits for at most `seconds`, then nil.
VALUE take(kino::gvl const& held, VALUE self, VALUE seconds) {
  std::shared_ptr<run_queue> const queue = queue_object::get(held, self).queue;
  queue->born().expect_same_process("actors' worker");
  auto const until = deadline_after(held, seconds);
  for (;;) {
    if (auto const next = queue->try_take()) {
      if (!next->plan) return kino::to_ruby(held, next->id());
      kino::shareable const plan = std::move(next->plan);
      return plan.value(held);
    }
    if (until && *until <= std::chrono::steady_clock::now()) return Qnil;
    kino::pin_waiting_thread(held);
    if (kino::park_until(held, queue->arrival(), until) == kino::park_result::timed_out) return Qnil;
  }
}

}  // namespace

VALUE make_ref(kino::gvl const& held, std::shared_ptr<mailbox> box) {
  return ref_object::wrap_shareable(held, ref_class, std::make_unique<ref>(ref{std::move(box)}));
}

void define_refs(kino::gvl const& held, VALUE actors, VALUE native) {
  ref_class = ref_object::define_class(held, actors, "Ref");
  kino::define_method<id>(ref_class, "id");
  kino::define_method<label>(ref_class, "label");
  kino::define_method<is_alive>(ref_class, "alive?");
  kino::define_method<reason>(ref_class, "reason");
  kino::define_method<size>(ref_class, "size");
  kino::define_method<arrived>(ref_class, "arrived");
  kino::define_function<create>(native, "create");
  kino::define_function<finish>(native, "finish");
  kino::define_function<begin_end>(native, "begin_end");
  kino::define_function<is_ending>(native, "ending?");
  kino::define_function<next_number>(native, "next_number");
  kino::define_function<usable_cpus>(native, "usable_cpus");
  kino::define_function<watch>(native, "watch");
  kino::define_function<forget>(native, "forget");
  kino::define_function<link_actors>(native, "link");
  kino::define_function<relation_count>(native, "relation_count");
  kino::define_function<wake>(native, "wake");
  kino::define_function<park>(native, "park");
  kino::define_function<wake_on_room>(native, "wake_on_room");
  kino::define_function<start>(native, "start");
  kino::define_function<push_plan>(native, "push_plan");
  kino::define_function<unlink_actors>(native, "unlink");
  VALUE const queue_class = queue_object::define_class(held, actors, "RunQueue");
  kino::define_function<create_queue>(queue_class, "create");
  kino::define_method<take>(queue_class, "take");
  kino::define_method<is_empty>(queue_class, "empty?");
}
