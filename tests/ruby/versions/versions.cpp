// SPDX-License-Identifier: MIT
//
// The state of the headers, which gems must not share. Built three times: twice with these headers, once with a copy of
// another version (CMakeLists.txt beside this file).

#include <kino/dispatch.hpp>

#include <memory>

#ifndef KINO_TEST_NAME
#error "KINO_TEST_NAME is the name of the extension"
#endif
#define KINO_TEST_EXTENSION_OF(name) KINO_EXTENSION(name)
#define KINO_TEST_EXTENSION(name) KINO_TEST_EXTENSION_OF(name)
#define KINO_TEST_TEXT_OF(name) #name
#define KINO_TEST_TEXT(name) KINO_TEST_TEXT_OF(name)

// Defined by the headers of development builds of Ruby, which look it up before they load an extension.
#ifndef RUBY_DLN_CHECK_ABI
extern "C" __attribute__((weak, visibility("default"))) unsigned long long ruby_abi_version();
extern "C" unsigned long long ruby_abi_version() { return 0; }
#endif

namespace {

struct request {
  long number = 0;
  kino::responder<long> reply;
};

VALUE version(kino::gvl const& held, VALUE) {
  return kino::protect(held, [] { return rb_str_new_cstr(KINO_VERSION); });
}
// Counts the registries of this extension: a function-local static of an inline function.
VALUE next_salt(kino::gvl const&, VALUE) { return ULL2NUM(kino::detail::next_registry_salt()); }
VALUE fork_count(kino::gvl const&, VALUE) {
  kino::detail::count_forks();
  return UINT2NUM(kino::detail::fork_count().load());
}
// The addresses of those statics.
VALUE addresses(kino::gvl const& held, VALUE) {
  return kino::protect(held, [] {
    return rb_ary_new_from_args(
        2, ULL2NUM(reinterpret_cast<std::uintptr_t>(&kino::detail::fork_count())),
        ULL2NUM(reinterpret_cast<std::uintptr_t>(&kino::detail::count_forks)));
  });
}

// Submits `number` to a dispatcher with a worker in this thread; the answer is three times the number.
VALUE thrice(kino::gvl const& held, VALUE, VALUE number) {
  kino::dispatcher<request> dispatcher(held, {.slots = 1});
  auto [answer, respond] = kino::make_response<long>();
  if (dispatcher.try_submit({FIX2LONG(number), std::move(respond)}) !=
      kino::push_result::pushed) {
    return Qnil;
  }
  dispatcher.serve(held, [&](request& each) {
    kino::sleep(held, std::chrono::microseconds{1});  // blocks, which causes thread events
    each.reply.answer(3 * each.number);
    dispatcher.close();
  });
  kino::outcome<long> const& got = kino::wait(held, answer);
  return got.answered() ? LONG2NUM(got.value()) : Qnil;
}

VALUE raises(kino::gvl const& held, VALUE) {
  kino::protect(held, [] { rb_yield(Qnil); });
  throw kino::raise(rb_eArgError, "from " KINO_TEST_TEXT(KINO_TEST_NAME));
}

struct thing {
  static constexpr char const* ruby_name = KINO_TEST_TEXT(KINO_TEST_NAME);
  long number = 0;
};
VALUE make(kino::gvl const& held, VALUE) {
  return kino::native_object<thing>::wrap(held, rb_cObject, std::make_unique<thing>());
}
VALUE knows(kino::gvl const& held, VALUE, VALUE object) {
  return LONG2NUM(kino::native_object<thing>::get(held, object).number);
}

}  // namespace

KINO_TEST_EXTENSION(KINO_TEST_NAME) {
  static_cast<void>(held);
  char constant[] = KINO_TEST_TEXT(KINO_TEST_NAME);
  constant[0] = 'K';
  VALUE const module = rb_define_module_under(rb_define_module("Versions"), constant);
  kino::define_function<version>(module, "version");
  kino::define_function<next_salt>(module, "next_salt");
  kino::define_function<fork_count>(module, "fork_count");
  kino::define_function<addresses>(module, "addresses");
  kino::define_function<thrice>(module, "thrice");
  kino::define_function<raises>(module, "raises");
  kino::define_function<make>(module, "make");
  kino::define_function<knows>(module, "knows");
}
