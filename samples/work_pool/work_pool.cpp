// SPDX-License-Identifier: MIT
//
// The native part of WorkPool: the state that the caller and the workers of one map share.

#include <kino/dispatch.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>

namespace {

// A feed hands out the indices of inputs, one at a time, and reports each index that is done. It
// holds only integers: inputs and results never leave Ruby.
class feed {
public:
  static constexpr char const* ruby_name = "WorkPool::Feed";
  static constexpr bool ruby_shareable = true;

  feed(long first, long count, long workers)
      : indices_(static_cast<std::size_t>(count)),
        news_(static_cast<std::size_t>(count)),
        arrivals_(static_cast<std::size_t>(workers)),
        present_(workers) {
    for (long index = first; index < first + count; ++index) {
      static_cast<void>(indices_.try_push(long{index}));
    }
    indices_.close();
  }

  // The first call of each worker. Its creator waits for it (await_worker) before it creates the next Ractor.
  void join(kino::gvl const& held) {
    kino::pin_thread(held);
    static_cast<void>(arrivals_.try_push(1));
  }
  void await_worker(kino::gvl const& held) {
    char arrived = 0;
    static_cast<void>(kino::pop(held, arrivals_, arrived));
  }

  // The next index, or none.
  std::optional<long> take() {
    long index = 0;
    if (stopped_ || indices_.try_pop(index) != kino::pop_result::popped) return std::nullopt;
    return index;
  }

  // There is room to report every input.
  void done(long index) { static_cast<void>(news_.try_push(long{index})); }
  void leave() {
    if (--present_ == 0) news_.close();
  }

  // The next index that is done, or none once every worker has left.
  std::optional<long> wait(kino::gvl const& held) {
    long index = 0;
    if (kino::pop(held, news_, index) != kino::pop_result::popped) return std::nullopt;
    return index;
  }

  // Workers finish their current input and take no other.
  void stop() { stopped_ = true; }

private:
  kino::channel<long> indices_;
  kino::channel<long> news_;
  kino::channel<char> arrivals_;
  std::atomic<long> present_;
  std::atomic<bool> stopped_{false};
};
using feed_object = kino::native_object<feed>;

VALUE make(kino::gvl const& held, VALUE klass, VALUE first, VALUE count, VALUE workers) {
  auto const from = kino::from_ruby<long>(held, first);
  auto const inputs = kino::from_ruby<long>(held, count);
  auto const ractors = kino::from_ruby<long>(held, workers);
  if (inputs < 1 || ractors < 1) {
    throw kino::raise(rb_eArgError, "WorkPool::Feed: at least one input and one worker");
  }
  return feed_object::wrap_shareable(held, klass, std::make_unique<feed>(from, inputs, ractors));
}

VALUE join(kino::gvl const& held, VALUE self) {
  feed_object::get(held, self).join(held);
  return Qnil;
}

VALUE await_worker(kino::gvl const& held, VALUE self) {
  feed_object::get(held, self).await_worker(held);
  return Qnil;
}

VALUE take(kino::gvl const& held, VALUE self) {
  return kino::to_ruby(held, feed_object::get(held, self).take());
}

VALUE done(kino::gvl const& held, VALUE self, VALUE index) {
  feed_object::get(held, self).done(kino::from_ruby<long>(held, index));
  return Qnil;
}

VALUE leave(kino::gvl const& held, VALUE self) {
  feed_object::get(held, self).leave();
  return Qnil;
}

VALUE wait(kino::gvl const& held, VALUE self) {
  return kino::to_ruby(held, feed_object::get(held, self).wait(held));
}

VALUE stop(kino::gvl const& held, VALUE self) {
  feed_object::get(held, self).stop();
  return Qnil;
}

}  // namespace

KINO_EXTENSION(work_pool_native) {
  VALUE const pool = rb_define_module("WorkPool");
  VALUE const klass = feed_object::define_class(held, pool, "Feed");
  kino::define_function<make>(klass, "make");
  kino::define_method<join>(klass, "join");
  kino::define_method<await_worker>(klass, "await_worker");
  kino::define_method<take>(klass, "take");
  kino::define_method<done>(klass, "done");
  kino::define_method<leave>(klass, "leave");
  kino::define_method<wait>(klass, "wait");
  kino::define_method<stop>(klass, "stop");
}
