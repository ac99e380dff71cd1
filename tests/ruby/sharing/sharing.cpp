// SPDX-License-Identifier: MIT
//
// shareable.hpp for the tests: objects in a registry, objects that native threads pass on, and a container without
// a root.

#include <kino/dispatch.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace {

kino::shareable_set* objects;
kino::registry<kino::shareable>* kept;

VALUE keep(kino::gvl const& held, VALUE, VALUE object) {
  return kino::to_ruby(held, kept->insert(objects->keep(held, object)));
}
VALUE keep_copy(kino::gvl const& held, VALUE, VALUE object) {
  return kino::to_ruby(held, kept->insert(objects->keep_copy(held, object)));
}
VALUE get(kino::gvl const& held, VALUE, VALUE id) {
  auto const found = kept->find(kino::from_ruby<std::uint64_t>(held, id));
  if (!found) throw kino::raise(rb_eKeyError, "no such object");
  return found->value(held);
}
VALUE drop(kino::gvl const& held, VALUE, VALUE id) {
  return kept->erase(kino::from_ruby<std::uint64_t>(held, id)) ? Qtrue : Qfalse;
}
// Destroys the shareable in a native thread, while this one has released the GVL.
VALUE drop_natively(kino::gvl const& held, VALUE, VALUE id) {
  auto const number = kino::from_ruby<std::uint64_t>(held, id);
  bool dropped = false;
  kino::native_thread dropping([&](std::stop_token) { dropped = kept->erase(number); });
  kino::join(held, dropping);
  return dropped ? Qtrue : Qfalse;
}
VALUE size(kino::gvl const&, VALUE) { return SIZET2NUM(objects->size()); }

// A relay moves objects from one channel to another, in a native thread.
class relay {
public:
  static constexpr char const* ruby_name = "Sharing::Relay";
  static constexpr bool ruby_shareable = true;
  static constexpr bool ruby_owns_threads = true;

  explicit relay(std::size_t capacity) : in_(capacity), out_(capacity) {}
  ~relay() { close(); }

  bool push(kino::gvl const& held, VALUE object) {
    return kino::push(held, in_, objects->keep(held, object)) == kino::push_result::pushed;
  }
  std::optional<VALUE> pop(kino::gvl const& held) {
    kino::shareable next;
    if (kino::pop(held, out_, next) != kino::pop_result::popped) return std::nullopt;
    return next.value(held);
  }
  void close() { in_.close(); }

private:
  void move_all() {
    kino::shareable each;
    while (in_.pop(each) == kino::pop_result::popped) {
      kino::shareable moved = std::move(each);
      if (out_.push(std::move(moved)) == kino::push_result::closed) return;
    }
    out_.close();
  }

  kino::channel<kino::shareable> in_;
  kino::channel<kino::shareable> out_;
  kino::native_thread thread_{[this](std::stop_token) { move_all(); }};
};
using relay_object = kino::native_object<relay>;

VALUE make_relay(kino::gvl const& held, VALUE klass, VALUE capacity) {
  return relay_object::wrap_shareable(held, klass, std::make_unique<relay>(kino::from_ruby<std::size_t>(held, capacity)));
}
VALUE relay_push(kino::gvl const& held, VALUE self, VALUE object) {
  return relay_object::get(held, self).push(held, object) ? Qtrue : Qfalse;
}
VALUE relay_pop(kino::gvl const& held, VALUE self) { return relay_object::get(held, self).pop(held).value_or(Qnil); }
VALUE relay_close(kino::gvl const& held, VALUE self) {
  relay_object::get(held, self).close();
  return Qnil;
}

// A box holds objects, in a set without a root.
struct box {
  static constexpr char const* ruby_name = "Sharing::Box";
  static constexpr bool ruby_shareable = true;
  static constexpr bool ruby_write_barriers = true;
  void mark() const noexcept { objects.mark(); }

  kino::shareable_set objects;
  kino::channel<kino::shareable> contents{100'000};
};
using box_object = kino::native_object<box>;

VALUE make_box(kino::gvl const& held, VALUE klass) {
  return box_object::wrap_shareable(held, klass, std::make_unique<box>());
}
VALUE box_put(kino::gvl const& held, VALUE self, VALUE object) {
  box& in = box_object::get(held, self);
  kino::shareable entry = in.objects.keep(held, object);
  if (!RB_SPECIAL_CONST_P(object)) RB_OBJ_WRITTEN(self, Qundef, object);
  if (in.contents.try_push(std::move(entry)) != kino::push_result::pushed) throw kino::raise(rb_eIndexError, "full");
  return self;
}
VALUE box_take(kino::gvl const& held, VALUE self) {
  kino::shareable taken;
  if (box_object::get(held, self).contents.try_pop(taken) != kino::pop_result::popped) return Qnil;
  return taken.value(held);
}
VALUE box_size(kino::gvl const& held, VALUE self) { return SIZET2NUM(box_object::get(held, self).objects.size()); }

}  // namespace

KINO_EXTENSION(sharing) {
  objects = new kino::shareable_set(held);
  kept = new kino::registry<kino::shareable>;
  VALUE const sharing = rb_define_module("Sharing");
  kino::define_function<keep>(sharing, "keep");
  kino::define_function<keep_copy>(sharing, "keep_copy");
  kino::define_function<get>(sharing, "get");
  kino::define_function<drop>(sharing, "drop");
  kino::define_function<drop_natively>(sharing, "drop_natively");
  kino::define_function<size>(sharing, "size");
  VALUE const relays = relay_object::define_class(held, sharing, "Relay");
  kino::define_function<make_relay>(relays, "make");
  kino::define_method<relay_push>(relays, "push");
  kino::define_method<relay_pop>(relays, "pop");
  kino::define_method<relay_close>(relays, "close");
  VALUE const boxes = box_object::define_class(held, sharing, "Box");
  kino::define_function<make_box>(boxes, "make");
  kino::define_method<box_put>(boxes, "put");
  kino::define_method<box_take>(boxes, "take");
  kino::define_method<box_size>(boxes, "size");
}
