// SPDX-License-Identifier: MIT
//
// What workers call: to join and leave, to take requests and to respond.

#include "app/native.hpp"
#include "net/takeover.hpp"
#include "rack/rack_response.hpp"
#include "rack/rack_stream.hpp"

#include <kino/convert.hpp>
#include <kino/extension.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace kino::server::native {

namespace {

VALUE join(gvl const& held, VALUE, VALUE id, VALUE unit) {
  return kino::to_ruby(held, server_of(held, id)->join(held, kino::from_ruby<std::size_t>(held, unit)));
}

// A negative slot: the worker could not join, and has none.
VALUE leave(gvl const& held, VALUE, VALUE id, VALUE slot, VALUE reason) {
  servers::pin const from = server_of(held, id);
  auto const place = kino::from_ruby<long>(held, slot);
  auto why = kino::from_ruby<std::optional<std::string>>(held, reason);
  if (place < 0) {
    from->refused_worker(std::move(why));
    return Qnil;
  }
  from->leave(held, static_cast<std::size_t>(place), std::move(why));
  if (from->deserted()) running().erase(id_of(held, id));
  return Qnil;
}

// Whether there is nothing left to do for a worker: the server was stopped without it, or this is a forked child.
VALUE gone(gvl const& held, VALUE, VALUE id) {
  servers::pin const found = running().find(id_of(held, id));
  return kino::to_ruby(held, !found || found->forked());
}

VALUE forked(gvl const& held, VALUE, VALUE id) {
  servers::pin const found = running().find(id_of(held, id));
  return kino::to_ruby(held, found && found->forked());
}

VALUE take(gvl const& held, VALUE, VALUE id, VALUE slot) {
  servers::pin const from = server_of(held, id);
  return from->take(held, slot_of(held, slot));
}

VALUE answer_and_take(gvl const& held, VALUE, VALUE id, VALUE slot, VALUE status, VALUE headers,
                      VALUE body) {
  servers::pin const from = server_of(held, id);
  std::size_t const index = slot_of(held, slot);
  worker_context& at = from->busy_context_at(index);
  if (at.hijacked) return from->take(held, index);
  at.writer = {};
  send_response(held, at, status, headers, body);
  return from->take(held, index);
}

// Returns a descriptor of the connection, which the caller owns.
VALUE hijack(gvl const& held, VALUE, VALUE id, VALUE slot) {
  servers::pin const from = server_of(held, id);
  worker_context& at = from->busy_context_at(slot_of(held, slot));
  int const descriptor = take_over_connection(at.reply);
  at.hijacked = true;
  at.count_served();
  return kino::to_ruby(held, descriptor);
}

// Says that the request of the slot belongs to a route.
VALUE label(gvl const& held, VALUE, VALUE id, VALUE slot, VALUE route) {
  std::string_view const name = kino::bytes_of(held, route);
  if (servers::pin const at = running().find(id_of(held, id))) at->label(slot_of(held, slot), name);
  return Qnil;
}

VALUE early_hints(gvl const& held, VALUE, VALUE id, VALUE slot, VALUE headers) {
  servers::pin const from = server_of(held, id);
  send_early_hints(held, from->busy_context_at(slot_of(held, slot)), headers);
  return Qnil;
}

VALUE set_rack_early_hints(gvl const& held, VALUE, VALUE callable) {
  environments().set_early_hints(held, callable);
  return callable;
}

VALUE set_rack_hijack(gvl const& held, VALUE, VALUE callable) {
  environments().set_hijack(held, callable);
  return callable;
}

VALUE stream(gvl const& held, VALUE, kino::arguments all) {
  if (all.size() != 5) {
    throw std::invalid_argument("kino: stream takes id, slot, status, headers, length or nil");
  }
  servers::pin const from = server_of(held, all[0]);
  worker_context& at = from->busy_context_at(slot_of(held, all[1]));
  std::optional<std::uint64_t> length;
  if (!NIL_P(all[4])) {
    auto const given = kino::from_ruby<long>(held, all[4]);
    if (given < 0) throw std::invalid_argument("kino: a body length must not be negative");
    length = static_cast<std::uint64_t>(given);
  }
  at.writer = {};
  response_writer begun = begin_response(held, at, all[2], all[3], length);
  VALUE const made = rack_stream::make(held, at);
  at.writer = std::move(begun);
  return made;
}

}  // namespace

void define_workers(VALUE native) {
  kino::define_function<join>(native, "join");
  kino::define_function<leave>(native, "leave");
  kino::define_function<gone>(native, "gone?");
  kino::define_function<forked>(native, "forked?");
  kino::define_function<take>(native, "take");
  kino::define_function<answer_and_take>(native, "answer_and_take");
  kino::define_function<label>(native, "label");
  kino::define_function<stream>(native, "stream");
  kino::define_function<hijack>(native, "hijack");
  kino::define_function<set_rack_hijack>(native, "rack_hijack=");
  kino::define_function<early_hints>(native, "early_hints");
  kino::define_function<set_rack_early_hints>(native, "rack_early_hints=");
}

}  // namespace kino::server::native
