// SPDX-License-Identifier: MIT
//
// The boundary between C++ and Ruby: it converts C++ exceptions to Ruby ones after the last C++
// frame with a destructor has been unwound, because Ruby raises by longjmp.

#pragma once

#include <kino/gvl.hpp>

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

template <class Body>
void run_body(verdict& v, Body& body) noexcept {
  try {
    v.value = body(gvl_of_call::get());
    v.how = verdict::kind::returned;
  } catch (ruby_error const& error) {
    v.how = verdict::kind::ruby;
    v.code = error.state();
  } catch (raise const& error) {
    note(v, error.exception_class(), error.what());
  } catch (std::system_error const& error) {
    note_system(v, error);
  } catch (std::bad_alloc const& error) {
    note(v, rb_eNoMemError, error.what());
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

[[noreturn]] inline void leave_to_ruby(verdict const& v) {
  if (v.how == verdict::kind::ruby) {
    KINO_ASSERT(!NIL_P(rb_errinfo()),
                "a ruby_error must propagate to the method boundary of its thread; until then, "
                "call Ruby only inside kino::protect, and do not store the error");
    rb_jump_tag(v.code);
  }
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
  static_assert(std::is_trivially_destructible_v<Body>,
                "longjmp skips the frames that cross the boundary: capture only references and "
                "values without destructors");
  detail::verdict v;
  detail::run_body(v, body);
  if (v.how == detail::verdict::kind::returned) return v.value;
  detail::leave_to_ruby(v);
}

KINO_NAMESPACE_END
