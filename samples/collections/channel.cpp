// SPDX-License-Identifier: MIT

#include "channel.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace {

using seconds = std::chrono::duration<double>;

// How long a call waits.
struct patience {
  bool limited = false;
  seconds limit{};

  [[nodiscard]] bool none() const { return limited && !(limit > seconds::zero()); }
};

// Of the Ruby arguments `non_block` and `timeout`. Raises unless at most one of them is given.
patience patience_from(kino::gvl const& held, VALUE non_block, VALUE timeout) {
  if (RTEST(non_block)) {
    if (!NIL_P(timeout)) throw kino::raise(rb_eArgError, "can't set a timeout if non_block is enabled");
    return {true, seconds::zero()};
  }
  if (NIL_P(timeout)) return {};
  double number = 0;
  kino::protect(held, [&] { number = NUM2DBL(timeout); });
  return {true, seconds(number)};
}

VALUE closed_error = Qnil;  // the class ClosedQueueError

class channel {
public:
  static constexpr char const* ruby_name = "Kino::Channel";
  static constexpr bool ruby_shareable = true;
  static constexpr bool ruby_write_barriers = true;

  channel(std::size_t capacity, bool copies) : queue_(capacity), copies_(copies) {}

  // A thread that is about to wait is pinned first: on Ruby 3.3 to 4.0, eight Ractors that wait in native code
  // otherwise stop all others.
  kino::push_result push(kino::gvl const& held, VALUE self, VALUE object, patience wait) {
    VALUE const shared = copies_ ? kino::shareable_copy(held, object) : object;
    kino::shareable item = objects_.keep(held, shared);
    RB_OBJ_WRITTEN(self, Qundef, shared);
    if (kino::push_result const ready = queue_.try_push(std::move(item));
        ready != kino::push_result::full || wait.none()) {
      return ready;
    }
    kino::pin_waiting_thread(held);
    if (!wait.limited) return kino::push(held, queue_, std::move(item));
    return kino::push_for(held, queue_, std::move(item), wait.limit);
  }

  kino::pop_result pop(kino::gvl const& held, kino::shareable& item, patience wait) {
    if (kino::pop_result const ready = queue_.try_pop(item); ready != kino::pop_result::empty || wait.none()) {
      return ready;
    }
    kino::pin_waiting_thread(held);
    if (!wait.limited) return kino::pop(held, queue_, item);
    return kino::pop_for(held, queue_, item, wait.limit);
  }

  void close() { queue_.close(); }
  [[nodiscard]] bool closed() const { return queue_.closed(); }
  [[nodiscard]] std::size_t size() const { return queue_.size(); }
  [[nodiscard]] std::size_t capacity() const { return queue_.capacity(); }
  void mark() const noexcept { objects_.mark(); }

private:
  kino::shareable_set objects_;  // before the queue, which holds its shareables
  kino::channel<kino::shareable> queue_;
  bool const copies_;
};
using channel_object = kino::native_object<channel>;

VALUE create(kino::gvl const& held, VALUE klass, VALUE capacity, VALUE copies) {
  return channel_object::wrap_shareable(
      held, klass, std::make_unique<channel>(kino::from_ruby<std::size_t>(held, capacity), RTEST(copies)));
}

// The channel; nil once the time is over.
VALUE give(kino::gvl const& held, VALUE self, VALUE object, VALUE non_block, VALUE timeout) {
  patience const wait = patience_from(held, non_block, timeout);
  switch (channel_object::get(held, self).push(held, self, object, wait)) {
    case kino::push_result::pushed: return self;
    case kino::push_result::closed: throw kino::raise(closed_error, "channel closed");
    default: break;
  }
  if (RTEST(non_block)) throw kino::raise(rb_eThreadError, "channel full");
  return Qnil;
}

// The next object; nil once the time is over, or the channel closed and empty.
VALUE take(kino::gvl const& held, VALUE self, VALUE non_block, VALUE timeout) {
  patience const wait = patience_from(held, non_block, timeout);
  kino::shareable item;
  if (channel_object::get(held, self).pop(held, item, wait) == kino::pop_result::popped) return item.value(held);
  if (RTEST(non_block)) throw kino::raise(rb_eThreadError, "channel empty");
  return Qnil;
}

// Yields objects until the channel is closed and empty.
VALUE take_all(kino::gvl const& held, VALUE self) {
  auto& from = channel_object::get(held, self);
  auto next = [&]() -> std::optional<VALUE> {
    kino::shareable item;
    if (from.pop(held, item, {}) != kino::pop_result::popped) return std::nullopt;
    return item.value(held);
  };
  while (std::optional<VALUE> const object = next()) {
    kino::protect(held, [&] { return rb_yield(*object); });
  }
  return self;
}

VALUE close(kino::gvl const& held, VALUE self) {
  channel_object::get(held, self).close();
  return self;
}
VALUE is_closed(kino::gvl const& held, VALUE self) {
  return kino::to_ruby(held, channel_object::get(held, self).closed());
}
VALUE size(kino::gvl const& held, VALUE self) { return kino::to_ruby(held, channel_object::get(held, self).size()); }
VALUE capacity(kino::gvl const& held, VALUE self) {
  return kino::to_ruby(held, channel_object::get(held, self).capacity());
}

}  // namespace

void define_channel(kino::gvl const& held, VALUE kino) {
  kino::protect(held, [] {
    closed_error = rb_path2class("ClosedQueueError");
    rb_gc_register_mark_object(closed_error);
  });
  VALUE const klass = channel_object::define_class(held, kino, "Channel");
  kino::define_function<create>(klass, "create");
  kino::define_method<give>(klass, "give");
  kino::define_method<take>(klass, "take");
  kino::define_method<take_all>(klass, "take_all");
  kino::define_method<close>(klass, "close");
  kino::define_method<is_closed>(klass, "closed?");
  kino::define_method<size>(klass, "size");
  kino::define_method<capacity>(klass, "capacity");
}
