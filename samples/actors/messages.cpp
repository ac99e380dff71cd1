// SPDX-License-Identifier: MIT
//
// Messages, calls and answers between actors.

#include "call.hpp"
#include "ref.hpp"

#include <cstdint>
#include <memory>
#include <utility>

namespace {

using call_object = kino::native_object<call>;
using from_object = kino::native_object<reply_right>;

VALUE call_class = Qnil;
VALUE from_class = Qnil;
ID down_id = 0;
ID exit_id = 0;
ID answered_id = 0;
ID abandoned_id = 0;

message_kind kind_from(kino::gvl const& held, VALUE kind) {
  return static_cast<message_kind>(kino::from_ruby<int>(held, kind));
}

// A message is copied unless it can be shared.
std::unique_ptr<message> make_message(kino::gvl const& held, message_kind kind, VALUE body) {
  auto made = std::make_unique<message>();
  made->kind = kind;
  made->body = kept_objects->keep_copy(held, body);
  return made;
}

VALUE copy(kino::gvl const& held, VALUE, VALUE object) { return kino::shareable_copy(held, object); }

VALUE symbol(ID name) { return ID2SYM(name); }

// true if it is delivered, nil if the mailbox is full, false if the actor is dead.
VALUE said(delivery how) { return how == delivery::delivered ? Qtrue : how == delivery::full ? Qnil : Qfalse; }

VALUE push(kino::gvl const& held, VALUE, VALUE ref, VALUE kind, VALUE body) {
  auto added = make_message(held, kind_from(held, kind), body);
  return said(box_of(held, ref)->push(added));
}

// Ahead of others, and also if the mailbox is full. `from`: the sender of a signal.
VALUE push_ahead(kino::gvl const& held, VALUE, VALUE ref, VALUE kind, VALUE body, VALUE from) {
  auto added = make_message(held, kind_from(held, kind), body);
  if (!NIL_P(from)) added->about = box_of(held, from);
  return kino::to_ruby(held, box_of(held, ref)->push_ahead(added));
}

// The Call if the request is delivered, nil if the mailbox is full, false if the actor is dead.
VALUE request(kino::gvl const& held, VALUE, VALUE ref, VALUE caller, VALUE body, VALUE ahead) {
  auto added = make_message(held, RTEST(ahead) ? message_kind::system : message_kind::call, body);
  auto* const place = new answer_place(box_of(held, caller));
  added->reply = kino::responder<kino::shareable>(*place);
  VALUE const made = call_object::wrap(held, call_class, std::make_unique<call>(added->reply, *place));
  if (RTEST(ahead)) return box_of(held, ref)->push_ahead(added) ? made : Qfalse;
  delivery const how = box_of(held, ref)->push(added);
  return how == delivery::delivered ? made : said(how);
}

// nil while the call waits; then :answered or :abandoned.
VALUE outcome(kino::gvl const& held, VALUE self) {
  answer_place const& place = *call_object::get(held, self).place;
  if (!place.arrived()) return Qnil;
  return symbol(place.result().answered() ? answered_id : abandoned_id);
}
VALUE value(kino::gvl const& held, VALUE self) {
  answer_place const& place = *call_object::get(held, self).place;
  if (!place.arrived() || !place.result().answered()) throw kino::raise(rb_eRuntimeError, "the call has no answer");
  return place.result().value().value(held);
}

// Returns whether the caller still waits for it.
VALUE answer(kino::gvl const& held, VALUE self, VALUE object) {
  kino::shareable kept = kept_objects->keep_copy(held, object);
  return kino::to_ruby(held, from_object::get(held, self).reply.answer(std::move(kept)));
}

VALUE kind_of(kino::gvl const& held, mailbox const& box, bool found) {
  return found ? kino::to_ruby(held, static_cast<int>(box.current()->kind)) : Qnil;
}

// These four make a message the current one, and return its kind, or nil if there is none.
VALUE take(kino::gvl const& held, VALUE, VALUE ref) {
  auto const& box = box_of(held, ref);
  return kind_of(held, *box, box->take());
}
VALUE take_signal(kino::gvl const& held, VALUE, VALUE ref) {
  auto const& box = box_of(held, ref);
  return kind_of(held, *box, box->take_signal());
}
VALUE see_next(kino::gvl const& held, VALUE, VALUE ref) {
  auto const& box = box_of(held, ref);
  return kind_of(held, *box, box->see_next());
}
VALUE take_seen(kino::gvl const& held, VALUE, VALUE ref) {
  auto const& box = box_of(held, ref);
  box->take_seen();
  return kind_of(held, *box, true);
}
VALUE search_again(kino::gvl const& held, VALUE, VALUE ref) {
  box_of(held, ref)->search_again();
  return Qnil;
}

message& current(kino::gvl const& held, VALUE ref) {
  message* const taken = box_of(held, ref)->current();
  if (!taken) throw kino::raise(rb_eRuntimeError, "the actor has taken no message");
  return *taken;
}

// The content of the current message: of a signal [:EXIT, actor, reason], of the end of a monitored actor
// [:DOWN, monitor, actor, reason].
VALUE body(kino::gvl const& held, VALUE, VALUE ref) {
  message& taken = current(held, ref);
  if (taken.kind != message_kind::down && taken.kind != message_kind::exit) return taken.body.value(held);
  VALUE const about = taken.about ? make_ref(held, taken.about) : Qnil;
  VALUE reason = Qnil;
  if (taken.body) {
    reason = taken.body.value(held);
  } else if (taken.about->reason()) {
    reason = taken.about->reason().value(held);
  }
  VALUE const watch = kino::to_ruby(held, taken.watch);
  bool const down = taken.kind == message_kind::down;
  return kino::protect(held, [=] {
    VALUE const made = down ? rb_ary_new_from_args(4, symbol(down_id), watch, about, reason)
                            : rb_ary_new_from_args(3, symbol(exit_id), about, reason);
    return rb_ractor_make_shareable(made);
  });
}
// The right to answer the current message; nil if it is no call. The caller is told if the actor ends first.
VALUE from(kino::gvl const& held, VALUE, VALUE ref) {
  message& taken = current(held, ref);
  if (!taken.reply) return Qnil;
  VALUE const made = from_object::wrap_shareable(held, from_class, std::make_unique<reply_right>(reply_right{taken.reply}));
  box_of(held, ref)->owe_answer();
  taken.reply = {};
  return made;
}

}  // namespace

void define_messages(kino::gvl const& held, VALUE actors, VALUE native) {
  kino::protect(held, [] {
    down_id = rb_intern("DOWN");
    exit_id = rb_intern("EXIT");
    answered_id = rb_intern("answered");
    abandoned_id = rb_intern("abandoned");
  });
  kino::define_function<copy>(native, "copy");
  kino::define_function<push>(native, "push");
  kino::define_function<push_ahead>(native, "push_ahead");
  kino::define_function<request>(native, "request");
  kino::define_function<take>(native, "take");
  kino::define_function<take_signal>(native, "take_signal");
  kino::define_function<see_next>(native, "see_next");
  kino::define_function<take_seen>(native, "take_seen");
  kino::define_function<search_again>(native, "search_again");
  kino::define_function<body>(native, "body");
  kino::define_function<from>(native, "from");
  call_class = call_object::define_class(held, actors, "Call");
  kino::define_method<outcome>(call_class, "outcome");
  kino::define_method<value>(call_class, "value");
  from_class = from_object::define_class(held, actors, "From");
  kino::define_method<answer>(from_class, "answer");
}
