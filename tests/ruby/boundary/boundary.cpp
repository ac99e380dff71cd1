// SPDX-License-Identifier: MIT
//
// extension.hpp for the tests: arities, exceptions in both directions, native objects.

#include <kino/dispatch.hpp>

#include <atomic>
#include <filesystem>
#include <ios>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include <unistd.h>

namespace {

// Counts the live objects of a kind.
template <class Kind>
struct witness {
  static inline std::atomic<long> alive{0};
  witness() { ++alive; }
  witness(witness const&) = delete;
  ~witness() { --alive; }
};
struct frame;
struct object;

VALUE frames(kino::gvl const&, VALUE) { return LONG2NUM(witness<frame>::alive.load()); }
VALUE objects(kino::gvl const&, VALUE) { return LONG2NUM(witness<object>::alive.load()); }

VALUE none(kino::gvl const&, VALUE) { return INT2FIX(0); }
VALUE two(kino::gvl const& held, VALUE, VALUE a, VALUE b) {
  return kino::protect(held, [=] { return rb_ary_new_from_args(2, a, b); });
}
VALUE any(kino::gvl const& held, VALUE, kino::arguments all) {
  return kino::protect(held, [&] {
    return rb_ary_new_from_values(static_cast<long>(all.size()), all.data());
  });
}

VALUE throw_cpp(kino::gvl const& held, VALUE, VALUE which) {
  witness<frame> const here;
  std::string const kind(rb_id2name(SYM2ID(which)));
  if (kind == "invalid_argument") throw std::invalid_argument("an argument");
  if (kind == "out_of_range") throw std::out_of_range("an index");
  if (kind == "system_error") throw std::system_error(ENOENT, std::generic_category(), "a file");
  if (kind == "system_error_alone") throw std::system_error(ENOENT, std::generic_category());
  if (kind == "filesystem_error") std::filesystem::create_directory("/nonexistent/directory");
  if (kind == "other_category") {
    throw std::system_error(1, std::iostream_category(), "a stream");
  }
  if (kind == "bad_alloc") throw std::bad_alloc();
  if (kind == "runtime_error") throw std::runtime_error("anything");
  if (kind == "number") throw 42;
  if (kind == "long") throw std::runtime_error(std::string(200'000, 'x'));
  if (kind == "percent") throw std::runtime_error("100%s %n");
  VALUE const chosen = kino::protect(held, [] {
    return rb_const_get(rb_cObject, rb_intern("KeyError"));
  });
  throw kino::raise(chosen, "a key: \xc3\xa9");
}

// Calls the block between C++ objects, three frames deep.
VALUE deep(kino::gvl const& held, int depth) {
  witness<frame> const here;
  if (depth > 0) return deep(held, depth - 1);
  return kino::protect(held, [] { return rb_yield(Qnil); });
}
VALUE yield_deep(kino::gvl const& held, VALUE) { return deep(held, 3); }

// Catches and rethrows the block's exception; returns nil if it has no state.
VALUE observe(kino::gvl const& held, VALUE) {
  int state = 0;
  try {
    deep(held, 1);
  } catch (kino::ruby_error const& error) {
    state = error.state();
    if (state == 0) return Qnil;
    throw;
  }
  return Qfalse;
}

// --- any nesting of the two languages ---

// Ruby code that raises and rescues, which clears any other propagating exception.
void raise_and_rescue(kino::gvl const& held) {
  kino::protect(held, [] {
    rb_eval_string("begin; raise KeyError, 'a passing one'; rescue KeyError; nil; end");
  });
}
struct runs_ruby_at_its_end {
  kino::gvl const& held;
  ~runs_ruby_at_its_end() { raise_and_rescue(held); }
};

VALUE descend(kino::gvl const& held, VALUE self, VALUE plan, long at);

// The rest of a plan, for callbacks.
struct rest {
  VALUE self;
  VALUE plan;
  long at;
  VALUE result;
};
VALUE call_back(VALUE argument) {
  return kino::boundary([=](kino::gvl const& held) {
    rest& mine = *reinterpret_cast<rest*>(argument);
    return mine.result = descend(held, mine.self, mine.plan, mine.at);
  });
}

// Each step of the plan is a kind of frame, C++'s or Ruby's, around the steps after it; the last one leaves all frames.
// Every frame here has a destructor, so a longjmp of Ruby must not skip any of them.
VALUE descend(kino::gvl const& held, VALUE self, VALUE plan, long at) {
  witness<frame> const here;
  std::string const step(rb_id2name(SYM2ID(RARRAY_AREF(plan, at))));
  rest next{self, plan, at + 1, Qnil};
  VALUE const argument = reinterpret_cast<VALUE>(&next);
  auto const down = [&] { return descend(held, self, plan, at + 1); };
  if (step == "protect") return kino::protect(held, down);
  if (step == "method") {
    return kino::protect(held, [&] {
      return rb_funcall(self, rb_intern("nest"), 2, plan, LONG2FIX(next.at));
    });
  }
  if (step == "block") {
    kino::protect(held, [&] {
      rb_block_call(rb_ary_new_from_args(1, Qtrue), rb_intern("each"), 0, nullptr,
                    [](VALUE, VALUE data, int, VALUE const*, VALUE) { return call_back(data); },
                    argument);
    });
    return next.result;
  }
  if (step == "pair") {
    kino::protect(held, [&] {
      VALUE const hash = rb_hash_new();
      rb_hash_aset(hash, Qtrue, Qtrue);
      rb_hash_foreach(hash, [](VALUE, VALUE, VALUE data) {
        call_back(data);
        return static_cast<int>(ST_CONTINUE);
      }, argument);
    });
    return next.result;
  }
  if (step == "ensure") {
    return kino::protect(held, [&] {
      return rb_ensure(call_back, argument, [](VALUE) {
        rb_eval_string("begin; raise KeyError; rescue KeyError; nil; end");
        return Qnil;
      }, Qnil);
    });
  }
  if (step == "catch_all") {
    try {
      return down();
    } catch (...) {
      raise_and_rescue(held);
      throw;
    }
  }
  if (step == "catch_std") {
    try {
      return down();
    } catch (std::exception const&) {
      throw;
    }
  }
  if (step == "destructor") {
    runs_ruby_at_its_end const last{held};
    return down();
  }
  if (step == "out_of_range") throw std::out_of_range("from below");
  if (step == "number") throw 42;
  if (step == "without_gvl") {
    kino::without_gvl(held, [] { throw std::out_of_range("from below"); }, kino::uninterruptible);
  }
  return kino::protect(held, [&] { return rb_funcall(self, SYM2ID(RARRAY_AREF(plan, at)), 0); });
}
VALUE nest(kino::gvl const& held, VALUE self, VALUE plan, VALUE at) {
  return descend(held, self, plan, FIX2LONG(at));
}

// Whether a handler for std::exception catches the block's raise, throw or kill.
VALUE caught_as_std_exception(kino::gvl const& held, VALUE) {
  try {
    kino::protect(held, [] { return rb_yield(Qnil); });
  } catch (std::exception const&) {
    return Qtrue;
  }
  return Qfalse;
}

// --- native objects ---

struct counter {
  static constexpr char const* ruby_name = "Boundary::Counter";
  static constexpr bool ruby_shareable = true;
  std::atomic<long> count{0};
  witness<object> const counted;
};
using counter_object = kino::native_object<counter>;

VALUE counter_make(kino::gvl const& held, VALUE klass) {
  return counter_object::wrap(held, klass, std::make_unique<counter>());
}
VALUE counter_add(kino::gvl const& held, VALUE self) {
  return LONG2NUM(++counter_object::get(held, self).count);
}

struct box {
  static constexpr char const* ruby_name = "Boundary::Box";
  VALUE content;
  witness<object> const counted;
  void mark() const noexcept { rb_gc_mark(content); }
};
using box_object = kino::native_object<box>;

VALUE box_make(kino::gvl const& held, VALUE klass, VALUE content) {
  auto made = std::make_unique<box>();
  made->content = content;
  return box_object::wrap(held, klass, std::move(made));
}
VALUE box_content(kino::gvl const& held, VALUE self) {
  return box_object::get(held, self).content;
}
// Its content is referenced only by the C++ object.
VALUE box_fresh(kino::gvl const& held, VALUE klass, VALUE number) {
  auto made = std::make_unique<box>();
  made->content = Qnil;
  VALUE const wrapped = box_object::wrap(held, klass, std::move(made));
  kino::protect(held, [=] {
    VALUE const text = rb_sprintf("content %ld", FIX2LONG(number));
    static_cast<box*>(RTYPEDDATA_DATA(wrapped))->content = text;
  });
  return wrapped;
}
VALUE counter_make_shareable(kino::gvl const& held, VALUE klass) {
  return counter_object::wrap_shareable(held, klass, std::make_unique<counter>());
}
// The C library also has a function of this name.
VALUE close(kino::gvl const&, VALUE) { return Qtrue; }
VALUE wrong_receiver(kino::gvl const& held, VALUE, VALUE object) {
  witness<frame> const here;
  return LONG2NUM(counter_object::get(held, object).count.load());
}

}  // namespace

KINO_EXTENSION(boundary) {
  VALUE const boundary = rb_define_module("Boundary");
  if (RTEST(rb_gv_get("$boundary_fails"))) throw kino::raise(rb_eLoadError, "not today");
  kino::define_function<frames>(boundary, "frames");
  kino::define_function<objects>(boundary, "objects");
  kino::define_function<none>(boundary, "none");
  kino::define_function<two>(boundary, "two");
  kino::define_function<any>(boundary, "any");
  kino::define_function<throw_cpp>(boundary, "throw_cpp");
  kino::define_function<yield_deep>(boundary, "yield_deep");
  kino::define_function<observe>(boundary, "observe");
  kino::define_function<nest>(boundary, "nest");
  kino::define_function<caught_as_std_exception>(boundary, "caught_as_std_exception?");
  kino::define_function<close>(boundary, "close");
  kino::define_function<wrong_receiver>(boundary, "wrong_receiver");
  VALUE const counter = counter_object::define_class(held, boundary, "Counter");
  kino::define_function<counter_make>(counter, "make");
  kino::define_function<counter_make_shareable>(counter, "make_shareable");
  kino::define_method<counter_add>(counter, "add");
  VALUE const box = box_object::define_class(held, boundary, "Box");
  kino::define_function<box_make>(box, "make");
  kino::define_function<box_fresh>(box, "fresh");
  kino::define_method<box_content>(box, "content");
}
