// SPDX-License-Identifier: MIT
//
// The boundary between C++ and Ruby: it converts C++ exceptions to Ruby ones after the last C++
// frame with a destructor has been unwound, because Ruby raises by longjmp.

#pragma once

#include <kino/gvl.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

KINO_NAMESPACE_BEGIN

/// A raise is a C++ exception that becomes a Ruby exception of a chosen class at the boundary. The
/// message is UTF-8, of any length, and ends at its first NUL byte.
///
///     throw kino::raise(rb_eArgError, "a pool needs at least one worker");
///
class raise : public std::runtime_error {
public:
  raise(VALUE exception_class, std::string const& message)
      : std::runtime_error(message), class_(exception_class) {}
  [[nodiscard]] VALUE exception_class() const noexcept { return class_; }

private:
  VALUE class_;  // classes are shareable and never move: not a GC concern
};

namespace detail {

// How a C++ body ended. Trivial, because longjmp skips its destructor; leave_to_ruby frees `message`.
struct verdict {
  enum class kind { returned, ruby, raised, system } how;
  VALUE value;    // the result, or the class to raise
  int code;       // rb_protect's state, or errno
  char* message;  // on the heap; null if there was no memory for it
};
static_assert(std::is_trivially_destructible_v<verdict>);

inline void note(verdict& v, VALUE exception_class, std::string_view message) noexcept {
  v.how = verdict::kind::raised;
  v.value = exception_class;
  v.message = static_cast<char*>(std::malloc(message.size() + 1));
  if (!v.message) return;
  std::memcpy(v.message, message.data(), message.size());
  v.message[message.size()] = '\0';
}

inline bool is_exception(VALUE value) noexcept {
  return !RB_SPECIAL_CONST_P(value) && RB_BUILTIN_TYPE(value) != T_IMEMO &&
         RTEST(rb_obj_is_kind_of(value, rb_eException));
}
inline bool is_exception_class(VALUE value) noexcept {
  return RB_TYPE_P(value, T_CLASS) && RTEST(rb_class_inherited_p(value, rb_eException));
}

// Ruby's Errno message begins with the text of the error number. what() contains it, too, at the
// end or, in std::filesystem_error, before the paths: remove it from what().
inline void note_system(verdict& v, std::system_error const& error) noexcept {
  note(v, rb_eRuntimeError, error.what());
  std::error_code const code = error.code();
  if (code.category() != std::generic_category() &&
      code.category() != std::system_category()) {
    return;
  }
  v.how = verdict::kind::system;
  v.code = code.value();
  if (!v.message) return;
  try {
    std::string const repeated = code.message();
    char* const found = std::strstr(v.message, repeated.c_str());
    if (!found) return;
    char* const after = found + repeated.size();
    bool const separated = found - v.message >= 2 && found[-2] == ':' && found[-1] == ' ';
    std::memmove(separated ? found - 2 : found, after, std::strlen(after) + 1);
  } catch (std::bad_alloc const&) {
    return;  // The message then contains it twice.
  }
}

// A Ruby exception that came where it could not leave, in a destructor, is put off: it stays `$!`, and the Ruby
// thread keeps what rb_protect reported.
inline ID put_off_key() { return rb_intern("kino_put_off"); }
inline void put_off_error(int state) noexcept {
  int failed = 0;
  rb_protect(
      [](VALUE reported) { return rb_thread_local_aset(rb_thread_current(), put_off_key(), reported); },
      INT2FIX(state), &failed);
}
// What was put off, or 0.
inline int take_put_off_error() noexcept {
  VALUE const thread = rb_thread_current();
  VALUE const state = rb_thread_local_aref(thread, put_off_key());
  if (NIL_P(state) || state == INT2FIX(0)) return 0;
  put_off_error(0);
  return FIX2INT(state);
}

/// Called where a body has ended without an exception: `before` is `$!` as it was when the body began. Throws what
/// was put off. What the body caught and did not rethrow is still `$!` and may be a kill, a throw or a break: Ruby
/// would go on with half of it.
inline void expect_nothing_swallowed(VALUE before) {
  VALUE const pending = rb_errinfo();
  if (pending == before || NIL_P(pending)) [[likely]] return;
  if (int const state = take_put_off_error()) throw ruby_error(state);
  KINO_ASSERT(pending == before,
              "a ruby_error was caught and not rethrown: it may be a Thread#kill, a Timeout, a throw or a break; "
              "rethrow it, or rescue the exception in Ruby (rb_rescue2, or rb_set_errinfo(Qnil) after kino::protect)");
}

template <class Body>
void run_body(verdict& v, Body& body, VALUE error_before) noexcept {
  try {
    v.value = body(gvl_of_call::get());
    expect_nothing_swallowed(error_before);
    v.how = verdict::kind::returned;
  } catch (ruby_error const& error) {
    v.how = verdict::kind::ruby;
    v.code = error.state();
  } catch (raise const& error) {
    note(v, error.exception_class(), error.what());
  } catch (std::system_error const& error) {
    note_system(v, error);
  } catch (std::bad_alloc const&) {
    note(v, rb_eNoMemError, "failed to allocate memory");
  } catch (std::invalid_argument const& error) {
    note(v, rb_eArgError, error.what());
  } catch (std::out_of_range const& error) {
    note(v, rb_eIndexError, error.what());
  } catch (std::exception const& error) {
    note(v, rb_eRuntimeError, error.what());
  } catch (...) {
    note(v, rb_eRuntimeError, "kino: an unknown C++ exception");
  }
}

// A C++ exception takes the place of a Ruby exception that it was thrown in answer to, as in Ruby; not that of
// a kill, a throw or a break.
inline void expect_no_jump_swallowed(VALUE before) noexcept {
  VALUE const pending = rb_errinfo();
  KINO_ASSERT(pending == before || NIL_P(pending) || is_exception(pending),
              "a Thread#kill, throw or break was caught as kino::ruby_error, or by catch (...), and another exception "
              "thrown instead: rethrow it");
}

// What kino::raise was given in place of an exception's class.
[[noreturn]] inline void raise_of_no_exception(verdict const& v) {
  char message[256];
  std::snprintf(message, sizeof message, "%s", v.message ? v.message : "");
  std::free(v.message);
  rb_raise(rb_eTypeError, "kino::raise needs the class of an exception, not %" PRIsVALUE " (message: %s)",
           rb_inspect(v.value), message);
}

[[noreturn]] inline void leave_to_ruby(verdict const& v) {
  if (v.how == verdict::kind::ruby) {
    KINO_ASSERT(!NIL_P(rb_errinfo()),
                "a ruby_error must propagate to the method boundary of its thread; until then, "
                "call Ruby only inside kino::protect, and do not store the error");
    rb_jump_tag(v.code);
  }
  if (v.how == verdict::kind::raised && !is_exception_class(v.value)) raise_of_no_exception(v);
  // Creating a String may raise, too (NoMemoryError): free the message, then propagate that.
  int state = 0;
  VALUE const text = rb_protect(
      [](VALUE message) {
        return message ? rb_utf8_str_new_cstr(reinterpret_cast<char const*>(message))
                       : rb_utf8_str_new_cstr("kino: out of memory for the error message");
      },
      reinterpret_cast<VALUE>(v.message), &state);
  std::free(v.message);
  if (state) rb_jump_tag(state);
  if (v.how == verdict::kind::system) {
    rb_exc_raise(rb_syserr_new_str(v.code, RSTRING_LEN(text) == 0 ? Qnil : text));
  }
  rb_exc_raise(rb_exc_new_str(v.value, text));
}

// boundary, for a caller that is known to hold the GVL.
template <class Body>
VALUE cross_boundary(Body body) {
  static_assert(std::is_trivially_destructible_v<Body>,
                "what crosses the boundary is left by longjmp: capture references and values "
                "without destructors");
  static_assert(std::is_same_v<std::invoke_result_t<Body&, gvl const&>, VALUE>,
                "the body of kino::boundary must return a VALUE: convert what it returns with kino::to_ruby(held, ...), "
                "or return Qnil");
  VALUE const before = rb_errinfo();
  verdict v;
  run_body(v, body, before);
  if (v.how == verdict::kind::returned) {
    KINO_ASSERT(v.value != Qundef,
                "a method returns a Ruby object: this one returned Qundef, which Ruby's C functions use for \"none\"; "
                "return Qnil");
    return v.value;
  }
  if (int const state = take_put_off_error()) {
    if (v.how != verdict::kind::ruby) std::free(v.message);
    v.how = verdict::kind::ruby;
    v.code = state;
  }
  if (v.how != verdict::kind::ruby) expect_no_jump_swallowed(before);
  leave_to_ruby(v);
}

}  // namespace detail

/// boundary runs `body(held)`, which returns a VALUE, and raises its C++ exceptions in Ruby.
///
/// Methods and KINO_EXTENSION have a boundary. Any other function that Ruby calls, such as the
/// block of rb_block_call or the callback of rb_hash_foreach, needs one if it may throw: no C++
/// exception may cross Ruby's frames. `body` must be trivially destructible.
///
/// Example (needs Ruby):
///
///     VALUE each_line(VALUE line, VALUE sink, int, VALUE const*, VALUE) {
///       return kino::boundary([=](kino::gvl const& held) {
///         sink_object::get(held, sink).write(line);  // may throw
///         return Qnil;
///       });
///     }
///
template <class Body>
VALUE boundary(Body body) {
  detail::expect_gvl();
  return detail::cross_boundary(body);
}

KINO_NAMESPACE_END
