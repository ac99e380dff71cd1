// SPDX-License-Identifier: MIT
//
// frozen_strings.hpp for the tests: one cache with a fixed set and a small bounded one.

#include <kino/frozen_strings.hpp>
#include <kino/extension.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <string_view>

namespace {

constexpr std::array<std::string_view, 4> fixed{"REQUEST_METHOD", "PATH_INFO", "", "gr\xc3\xbc\xc3\x9f"};
kino::frozen_string_cache* cache;
std::atomic<bool> busy{false};
std::atomic<int> settled{0};

std::string_view bytes_of(VALUE text) {
  return {RSTRING_PTR(text), static_cast<std::size_t>(RSTRING_LEN(text))};
}

VALUE find(kino::gvl const&, VALUE, VALUE text) {
  return cache->find(bytes_of(text)).value_or(Qnil);
}
VALUE intern(kino::gvl const& held, VALUE, VALUE text) {
  VALUE const found = cache->intern(held, bytes_of(text));
  RB_GC_GUARD(text);
  return found;
}
VALUE size(kino::gvl const&, VALUE) { return SIZET2NUM(cache->size()); }

VALUE set_busy(kino::gvl const&, VALUE, VALUE now) {
  settled = 0;
  busy = RTEST(now);
  return now;
}
// The number of threads in the loop below for which every String is already cached.
VALUE count_settled(kino::gvl const&, VALUE) { return INT2FIX(settled.load()); }
// Interns 16 Strings in turn until it is no longer busy.
VALUE keep_busy(kino::gvl const& held, VALUE) {
  char text[] = "busy ?";
  for (unsigned i = 0; busy; ++i) {
    text[5] = static_cast<char>('a' + i % 16);
    static_cast<void>(cache->intern(held, text));
    if (i == 16) ++settled;
    if (i % 1024 == 0) held.check_interrupts();
  }
  return Qnil;
}

// A second cache, made, used and destroyed within one call.
VALUE short_lived(kino::gvl const& held, VALUE) {
  kino::frozen_string_cache other(held, {"short", "lived"});
  VALUE const made = other.intern(held, "made by the other");
  return kino::protect(held, [&] {
    return rb_ary_new_from_args(3, *other.find("short"), made, SIZET2NUM(other.size()));
  });
}

}  // namespace

KINO_EXTENSION(strings) {
  cache = new kino::frozen_string_cache(held, fixed, {.capacity = 64, .longest = 32});
  VALUE const strings = rb_define_module("Strings");
  kino::define_function<find>(strings, "find");
  kino::define_function<intern>(strings, "intern");
  kino::define_function<size>(strings, "size");
  kino::define_function<set_busy>(strings, "busy=");
  kino::define_function<count_settled>(strings, "settled");
  kino::define_function<keep_busy>(strings, "keep_busy");
  kino::define_function<short_lived>(strings, "short_lived");
}
