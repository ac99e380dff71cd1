// SPDX-License-Identifier: MIT
//
// ractor_starter: starts worker Ractors one by one.

#pragma once

#include <kino/detail/ruby/boundary.hpp>
#include <kino/extension.hpp>
#include <kino/leaf_mutex.hpp>
#include <kino/responder.hpp>
#include <kino/wait.hpp>

#include <chrono>
#include <mutex>
#include <string>
#include <utility>

KINO_NAMESPACE_BEGIN

class ractor_starter;
/// define_ractor_starter<starter>(held, module) defines a function `start` (or `name`) of `module`.
template <ractor_starter& Starter>
void define_ractor_starter(gvl const& held, VALUE module, char const* name = "start");

/// A ractor_starter creates worker Ractors, each after the previous one serves.
///
/// Ruby 3.4 and 4.0 can hang if Ractors are created while the first ones pin their threads.
///
/// define_ractor_starter defines `start(count) { |index| ... }` for a module. The block is passed
/// to Ractor.new and calls a method of the extension that serves. The worker reports this with
/// `serving`, usually from the dispatcher's `joined`. `start` returns the Ractors; it passes
/// further arguments to every block, after the index. If a Ractor ends before it serves, `start`
/// raises RuntimeError, whose cause is the exception that ended it; earlier Ractors continue.
///
/// On Ruby 3.x, the block must not call Ractor.yield before it serves: `start` awaits a Ractor's
/// end with `take`, which would take the yielded value, and `start` would raise as if the Ractor
/// had ended. Also, the value of a Ractor that ends immediately after it has served may be lost.
///
/// Give it static storage duration, one for each module.
///
/// Threads: `serving` any.
/// GVL:     `serving` does not need it.
/// Blocks:  `start`, like kino::wait: Ctrl-C, Timeout and Thread#kill end it.
/// Fork:    a child may start its own Ractors.
///
/// Example (needs Ruby):
///
///     static kino::ractor_starter workers;
///
///     // Shouter.serve { |line| answer }
///     VALUE serve(kino::gvl const& held, VALUE) {
///       lines->serve(held, shout, [] { workers.serving(); });
///       return Qnil;
///     }
///
///     KINO_EXTENSION(shouter) {
///       VALUE const shouter = rb_define_module("Shouter");
///       kino::define_function<serve>(shouter, "serve");
///       kino::define_ractor_starter<workers>(held, shouter);
///       // Ruby: Shouter.start(4) { |index| Shouter.serve { |line| line.upcase } }
///     }
///
class ractor_starter {
public:
  /// Reports that the Ractor being started serves. No effect if none is being started.
  void serving() noexcept { end(true); }

private:
  template <ractor_starter&>
  friend void define_ractor_starter(gvl const& held, VALUE module, char const* name);

  // Calls the block, which creates a Ractor, and waits until the Ractor serves or has ended.
  bool await(gvl const& held) {
    struct occupation {
      ractor_starter& starter;
      ~occupation() { starter.end(false); }
    };
    auto [answer, respond] = make_response<bool>();
    {
      std::lock_guard guard(mutex_);
      if (!waiting_) std::swap(waiting_, respond);
    }
    if (respond) {
      throw raise(rb_eThreadError,
                  "kino: another thread is already starting Ractors of this ractor_starter");
    }
    occupation const here{*this};
    protect(held, [] { rb_yield(Qnil); });
    auto const* outcome = kino::wait_for(held, answer, std::chrono::seconds(5));
    if (!outcome) {
      protect(held, [] {
        rb_warn("kino: a Ractor has been starting for 5 seconds: `start` returns when ractor_starter::serving() was "
                "called in it, which the method that serves does: questions->serve(held, handle, [] { workers.serving(); })");
      });
      outcome = &kino::wait(held, answer);
    }
    return outcome->answered() && outcome->value();
  }
  void end(bool serves) noexcept {
    responder<bool> waiting;
    {
      std::lock_guard guard(mutex_);
      std::swap(waiting, waiting_);  // Dropped and answered outside the mutex.
    }
    waiting.answer(std::move(serves));
  }

  template <ractor_starter& Starter>
  static VALUE await_entry(gvl const& held, VALUE) {
    return Starter.await(held) ? Qtrue : Qfalse;
  }
  template <ractor_starter& Starter>
  static VALUE ended_entry(gvl const&, VALUE) {
    Starter.end(false);
    return Qnil;
  }

  leaf_mutex mutex_;
  responder<bool> waiting_;
};

namespace detail {

// A thread waits for the Ractor's end, because `value` and `take` of Ractors cannot be polled. It
// is killed only while it sleeps: before Ruby 3.3, a thread that is killed after `take` has added
// it to the Ractor's list of takers and before it sleeps stays in that list, and each later `take`
// fails.
inline constexpr char const* ractor_starter_source = R"ruby(
def self.%{name}(count, *arguments, &work)
  raise ArgumentError, "#{self}.%{name}: a block in which a worker serves is required" unless work
  unless Integer === count && count >= 0
    raise ArgumentError, "#{self}.%{name}: the number of Ractors must be a non-negative Integer, not #{count.inspect}"
  end

  Array.new(count) { |index| kino_start_ractor(index, arguments, work) }
end

def self.kino_start_ractor(index, arguments, work)
  ractor = watcher = failure = nil
  served = kino_await_ractor do
    ractor = Ractor.new(index, *arguments, name: "#{self} #{index}", &work)
    watcher = Thread.new do
      Thread.handle_interrupt(Object => :immediate) { ractor.respond_to?(:value) ? ractor.value : ractor.take }
    rescue Ractor::RemoteError => e
      failure = e.cause
    ensure
      kino_ractor_ended
    end
  end
  served or raise RuntimeError, "#{self}.%{name}: Ractor #{index} ended before it began to serve", cause: failure
  ractor
ensure
  Thread.handle_interrupt(Object => :never) { kino_end_watcher(watcher) } if watcher
end

def self.kino_end_watcher(watcher)
  Thread.pass until watcher.stop?
  watcher.kill.join
end
private_class_method :kino_start_ractor, :kino_end_watcher
)ruby";

}  // namespace detail

template <ractor_starter& Starter>
void define_ractor_starter(gvl const& held, VALUE module, char const* name) {
  define_function<&ractor_starter::await_entry<Starter>>(module, "kino_await_ractor");
  define_function<&ractor_starter::ended_entry<Starter>>(module, "kino_ractor_ended");
  protect(held, [&] {
    for (char const* hidden : {"kino_await_ractor", "kino_ractor_ended"}) {
      rb_funcall(module, rb_intern("private_class_method"), 1, ID2SYM(rb_intern(hidden)));
    }
    VALUE const names = rb_hash_new();
    rb_hash_aset(names, ID2SYM(rb_intern("name")), rb_str_new_cstr(name));
    VALUE const source = rb_str_format(1, &names, rb_utf8_str_new_cstr(detail::ractor_starter_source));
    rb_funcall(module, rb_intern("module_eval"), 2, source, rb_utf8_str_new_cstr("kino/ractor_starter.hpp"));
  });
}

KINO_NAMESPACE_END
