// SPDX-License-Identifier: MIT
//
// How Ruby creates, starts and stops a server.

#include "app/config.hpp"
#include "app/native.hpp"
#include "base/process_places.hpp"
#include "net/tls_acceptor.hpp"

#include <kino/convert.hpp>
#include <kino/extension.hpp>

#include <stdexcept>

namespace kino::server::native {

namespace {

// Of the processes that this one forks, or is forked with. Never deleted: I/O threads use it until the process has ended.
process_places* places = nullptr;

VALUE create(gvl const& held, VALUE, VALUE settings) {
  config made = read_config(held, settings);
  if (made.place) {
    if (!places || *made.place >= places->size()) throw std::invalid_argument("kino: there is no such place");
    made.process = {places, *made.place};
  }
  if (made.control && made.control->collects) made.others = places;
  std::uint64_t const id = running().insert(held, made, environments());
  return kino::to_ruby(held, id);
}

// Before the processes of a server are forked: how many may exist at a time.
VALUE make_places(gvl const& held, VALUE, VALUE count) {
  places = new process_places(kino::from_ruby<std::size_t>(held, count));
  return Qnil;
}

// The process with this place has ended.
VALUE vacate_place(gvl const& held, VALUE, VALUE place) {
  auto const at = kino::from_ruby<std::size_t>(held, place);
  if (places && at < places->size()) places->vacate(at);
  return Qnil;
}

// What a server would do with these settings.
VALUE settings(gvl const& held, VALUE, VALUE hash) {
  config read = read_config(held, hash);
  return show_config(held, read);
}

VALUE array_of(gvl const& held, std::vector<bind_address> const& addresses) {
  return kino::protect(held, [&addresses] {
    VALUE const all = rb_ary_new();
    for (bind_address const& one : addresses) {
      VALUE const pair = rb_ary_new();
      rb_ary_push(all, pair);
      std::string const& name = one.local() ? one.path : one.host;
      rb_ary_push(pair, rb_utf8_str_new(name.data(), static_cast<long>(name.size())));
      rb_ary_push(pair, one.local() ? Qnil : INT2FIX(one.port));
      rb_ary_push(pair, one.tls ? Qtrue : Qfalse);
      rb_ary_push(pair, INT2FIX(*one.socket));
    }
    return all;
  });
}

VALUE listen_all(gvl const& held, VALUE, VALUE id) { return array_of(held, server_of(held, id)->listen()); }

VALUE start_control(gvl const& held, VALUE, VALUE id) { return array_of(held, server_of(held, id)->start_control()); }

VALUE renew_tls(gvl const& held, VALUE, VALUE id, VALUE settings) {
  server_of(held, id)->renew_tls(read_tls(held, settings));
  return Qnil;
}

// Raises unless TLS could be served with these settings.
VALUE check_tls(gvl const& held, VALUE, VALUE settings) {
  deadline_queue unused([](clock::time_point) {});
  tls_acceptor const made(unused, read_tls(held, settings), {}, {"http/1.1"});
  return Qnil;
}

VALUE is_last_to_accept(gvl const& held, VALUE, VALUE id, VALUE given_too) {
  server_of(held, id)->is_last_to_accept(RTEST(given_too));
  return Qnil;
}

VALUE await_idle(gvl const& held, VALUE, VALUE id, VALUE seconds) {
  std::optional<clock::time_point> until;
  if (auto const timeout = seconds_of(held, seconds)) {
    until = clock::now() + std::chrono::duration_cast<clock::duration>(
                               std::chrono::duration<double>(*timeout));
  }
  return kino::to_ruby(held, server_of(held, id)->await_idle(held, until));
}

VALUE stop(gvl const& held, VALUE, VALUE id) {
  auto const number = id_of(held, id);
  servers::pin const found = running().find(number);
  if (!found) return Qnil;  // already stopped
  found->stop(held);
  if (found->deserted()) running().erase(number);
  return Qnil;
}

}  // namespace

void define_lifecycle(VALUE native) {
  kino::define_function<create>(native, "create");
  kino::define_function<settings>(native, "settings");
  kino::define_function<make_places>(native, "make_places");
  kino::define_function<vacate_place>(native, "vacate_place");
  kino::define_function<listen_all>(native, "listen");
  kino::define_function<start_control>(native, "start_control");
  kino::define_function<call<&server::leave_control>>(native, "leave_control");
  kino::define_function<renew_tls>(native, "renew_tls");
  kino::define_function<check_tls>(native, "check_tls");
  kino::define_function<call<&server::start>>(native, "start");
  kino::define_function<is_last_to_accept>(native, "is_last_to_accept");
  kino::define_function<call<&server::stop_accepting>>(native, "stop_accepting");
  kino::define_function<call<&server::announce_drain>>(native, "announce_drain");
  kino::define_function<call<&server::begin_drain>>(native, "begin_drain");
  kino::define_function<await_idle>(native, "await_idle");
  kino::define_function<call<&server::close>>(native, "close");
  kino::define_function<call<&server::abort>>(native, "abort");
  kino::define_function<call<&server::say_remaining>>(native, "say_remaining");
  kino::define_function<stop>(native, "stop");
}

}  // namespace kino::server::native
