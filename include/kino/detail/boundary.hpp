// SPDX-License-Identifier: MIT
//
// The boundary between C++ and Ruby: C++ exceptions become Ruby ones after the last C++ frame
// with a destructor is gone, because Ruby raises by longjmp.

#pragma once

#include <kino/gvl.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>

KINO_NAMESPACE_BEGIN

/// A raise is a C++ exception that becomes a Ruby exception of a chosen class at the boundary.
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

// How a C++ body ended. Trivial, so that a longjmp may pass over it.
struct verdict {
  enum class kind { returned, ruby, raised, system } how;
  VALUE value;  // the result, or the class to raise
  int code;     // rb_protect's state, or errno
  char message[512];
};
static_assert(std::is_trivially_destructible_v<verdict>);

inline void note(verdict& v, VALUE exception_class, char const* message) noexcept {
  v.how = verdict::kind::raised;
  v.value = exception_class;
  std::size_t const length = std::min(std::strlen(message), sizeof v.message - 1);
  std::memcpy(v.message, message, length);
  v.message[length] = '\0';
}

template <class Body>
void run_body(verdict& v, Body& body) noexcept {
  try {
    v.value = body();
    v.how = verdict::kind::returned;
  } catch (ruby_error const& error) {
    v.how = verdict::kind::ruby;
    v.code = error.state();
  } catch (raise const& error) {
    note(v, error.exception_class(), error.what());
  } catch (std::system_error const& error) {
    note(v, rb_eRuntimeError, error.what());
    if (error.code().category() == std::generic_category() ||
        error.code().category() == std::system_category()) {
      v.how = verdict::kind::system;
      v.code = error.code().value();
    }
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
  switch (v.how) {
    case verdict::kind::ruby: rb_jump_tag(v.code);
    case verdict::kind::system: rb_syserr_fail(v.code, v.message);
    default: rb_enc_raise(rb_utf8_encoding(), v.value, "%s", v.message);
  }
}

/// Runs `body`, which returns a VALUE, and raises in Ruby what it throws in C++.
template <class Body>
VALUE boundary(Body body) {
  static_assert(std::is_trivially_destructible_v<Body>,
                "what crosses the boundary is left by longjmp: capture references and values "
                "without destructors");
  verdict v;
  run_body(v, body);
  if (v.how == verdict::kind::returned) return v.value;
  leave_to_ruby(v);
}

}  // namespace detail
KINO_NAMESPACE_END
