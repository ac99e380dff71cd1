// SPDX-License-Identifier: MIT
//
// ractor_starter: Ractors of workers, started one by one.

#pragma once

#include <kino/detail/ruby/boundary.hpp>
#include <kino/extension.hpp>
#include <kino/leaf_mutex.hpp>
#include <kino/responder.hpp>
#include <kino/wait.hpp>

#include <mutex>
#include <string>
#include <utility>

KINO_NAMESPACE_BEGIN

class ractor_starter;
/// define_ractor_starter<starter>(held, module) gives `module` the method `start`, or `name`.
template <ractor_starter& Starter>
void define_ractor_starter(gvl const& held, VALUE module, char const* name = "start");

/// A ractor_starter creates the Ractors of workers, each after the one before serves.
///
/// Ruby 3.4 and 4.0 can hang when Ractors are created while the first ones pin their threads.
/// define_ractor_starter gives a module the method `start(count) { |index| ... }`; its block is
/// that of Ractor.new, and calls a method of the extension that serves. The worker says so by
/// `serving`, in most cases from the dispatcher's `joined`. `start` returns the Ractors; further
/// arguments go to every block, after the index. If a Ractor ends before it serves, `start` raises
/// RuntimeError with what ended it as its cause; the Ractors before it go on.
///
/// On Ruby 3.x the block must not call Ractor.yield before it serves: there a Ractor's end is awaited
/// by `take`, which takes what is yielded instead, and `start` raises as if the Ractor had ended.
/// There the value of a Ractor that ends as soon as it has served may be lost.
///
/// Give it static storage duration, one for each module.
///
/// Threads: `serving` any.
/// GVL:     `serving` does not need it.
/// Blocks:  `start`, like kino::wait: Ctrl-C, Timeout and Thread#kill end it.
/// Fork:    a child may start Ractors of its own.
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
  /// The Ractor that is being started serves. Without effect if none is.
  void serving() noexcept { end(true); }

private:
  template <ractor_starter&>
  friend void define_ractor_starter(gvl const& held, VALUE module, char const* name);

  // Calls the block, which creates a Ractor, and waits until that serves or has ended.
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
    auto const& outcome = kino::wait(held, answer);
    return outcome.answered() && outcome.value();
  }
  void end(bool serves) noexcept {
    responder<bool> waiting;
    {
      std::lock_guard guard(mutex_);
      std::swap(waiting, waiting_);  // Dropped and answered outside: nothing is called under it.
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

// A thread waits for the Ractor's end: `value` and `take` of Ractors cannot be polled. It is killed
// only while it sleeps. Before Ruby 3.3 a thread that is killed after `take` has entered it in the
// Ractor's list of takers and before it sleeps stays in that list, and each later `take` fails.
inline constexpr char const* ractor_starter_source = R"ruby(
def self.%{name}(count, *arguments, &work)
  raise ArgumentError, "#{self}.%{name}: a block in which a worker serves is required" unless work

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
