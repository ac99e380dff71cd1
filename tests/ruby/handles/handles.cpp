// SPDX-License-Identifier: MIT
//
// registry.hpp for the tests: Ruby holds integer ids, C++ the state.

#include <kino/extension.hpp>
#include <kino/registry.hpp>

#include <atomic>

namespace {

std::atomic<long> alive{0};
struct tally {
  std::atomic<long> count{0};
  tally() { ++alive; }
  ~tally() { --alive; }
};
kino::registry<tally> tallies;
kino::registry<tally> others;

std::uint64_t id_of(kino::gvl const& held, VALUE id) {
  std::uint64_t number = 0;
  kino::protect(held, [&] { number = NUM2ULL(id); });
  return number;
}
VALUE insert(kino::gvl const&, VALUE) { return ULL2NUM(tallies.insert()); }
VALUE insert_other(kino::gvl const&, VALUE) { return ULL2NUM(others.insert()); }
VALUE add(kino::gvl const& held, VALUE, VALUE id) {
  auto const found = tallies.find(id_of(held, id));
  return found ? LONG2NUM(++found->count) : Qnil;
}
VALUE erase(kino::gvl const& held, VALUE, VALUE id) {
  return tallies.erase(id_of(held, id)) ? Qtrue : Qfalse;
}
// The block runs while the state is pinned.
VALUE pinned(kino::gvl const& held, VALUE, VALUE id) {
  auto const found = tallies.find(id_of(held, id));
  if (!found) return Qnil;
  kino::protect(held, [] { rb_yield(Qnil); });
  return LONG2NUM(++found->count);
}
VALUE count_alive(kino::gvl const&, VALUE) { return LONG2NUM(alive.load()); }

}  // namespace

KINO_EXTENSION(handles) {
  VALUE const handles = rb_define_module("Handles");
  kino::define_function<insert>(handles, "insert");
  kino::define_function<insert_other>(handles, "insert_other");
  kino::define_function<add>(handles, "add");
  kino::define_function<erase>(handles, "erase");
  kino::define_function<pinned>(handles, "pinned");
  kino::define_function<count_alive>(handles, "alive");
  static_cast<void>(held);
}
