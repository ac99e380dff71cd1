// SPDX-License-Identifier: MIT
//
// The log, as Ruby writes to it.

#include "app/config.hpp"
#include "app/native.hpp"
#include "base/log.hpp"
#include "base/log_destination.hpp"

#include <kino/convert.hpp>
#include <kino/extension.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace kino::server::native {

namespace {

VALUE start_log(gvl const& held, VALUE) { return kino::to_ruby(held, log().start()); }

VALUE write_log(gvl const& held, VALUE, VALUE text) {
  return kino::to_ruby(held, log().write(kino::bytes_of(held, text)));
}

// The number of a destination: "stdout", "stderr" or the path of a file.
VALUE open_log(gvl const& held, VALUE, VALUE name) {
  return kino::to_ruby(held, log_number(kino::from_ruby<std::string>(held, name)));
}

// Whether the text was accepted.
VALUE write_to_log(gvl const& held, VALUE, VALUE number, VALUE text) {
  kino::async_sink* const sink = log_with(kino::from_ruby<std::uint64_t>(held, number));
  if (!sink) throw std::invalid_argument("kino: there is no log with this number");
  return kino::to_ruby(held, sink->write(kino::bytes_of(held, text)));
}

// Raises unless requests can be logged with these settings.
VALUE check_access_log(gvl const& held, VALUE, VALUE settings) {
  access_log const made(read_access_log(held, settings));
  return Qnil;
}

VALUE reopen_all(gvl const&, VALUE) {
  reopen_logs();
  return Qnil;
}

// Waits for so many seconds at most. Not interrupted: it is what the end of a process calls.
VALUE flush_all(gvl const& held, VALUE, VALUE seconds) {
  auto const timeout = seconds_of(held, seconds);
  if (!timeout) throw std::invalid_argument("kino: flush_logs needs a number of seconds");
  auto const most = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(std::min(*timeout, 3600.0)));
  bool done = false;
  auto work = [&]() noexcept { done = flush_logs(most); };
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
  kino::define_function<open_log>(native, "open_log");
  kino::define_function<write_to_log>(native, "write_to_log");
  kino::define_function<check_access_log>(native, "check_access_log");
  kino::define_function<reopen_all>(native, "reopen_logs");
  kino::define_function<flush_all>(native, "flush_logs");
  kino::define_function<set_rack_errors>(native, "rack_errors=");
}

}  // namespace kino::server::native
