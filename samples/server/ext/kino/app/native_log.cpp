// SPDX-License-Identifier: MIT
//
// The log, as Ruby writes to it.

#include "app/native.hpp"
#include "base/log.hpp"

#include <kino/convert.hpp>
#include <kino/extension.hpp>

#include <algorithm>
#include <chrono>

namespace kino::server::native {

namespace {

VALUE start_log(gvl const& held, VALUE) { return kino::to_ruby(held, log().start()); }

VALUE write_log(gvl const& held, VALUE, VALUE text) {
  return kino::to_ruby(held, log().write(kino::bytes_of(held, text)));
}

VALUE reopen_log(gvl const&, VALUE) {
  log().reopen();
  return Qnil;
}

// Waits for so many seconds at most. Not interrupted: it is what the end of a process calls.
VALUE flush_log(gvl const& held, VALUE, VALUE seconds) {
  auto const timeout = seconds_of(held, seconds);
  if (!timeout) throw std::invalid_argument("kino: flush_log needs a number of seconds");
  auto const most = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(std::min(*timeout, 3600.0)));
  bool done = false;
  auto work = [&]() noexcept { done = log().flush(most); };
  // With interrupts pending, as in a trap, it waits with the GVL.
  if (!kino::try_without_gvl(held, work, kino::uninterruptible)) work();
  return kino::to_ruby(held, done);
}

VALUE set_rack_errors(gvl const& held, VALUE, VALUE stream) {
  environments().set_errors(held, stream);
  return stream;
}

}  // namespace

void define_log(VALUE native) {
  kino::define_function<start_log>(native, "start_log");
  kino::define_function<write_log>(native, "log");
  kino::define_function<reopen_log>(native, "reopen_log");
  kino::define_function<flush_log>(native, "flush_log");
  kino::define_function<set_rack_errors>(native, "rack_errors=");
}

}  // namespace kino::server::native
