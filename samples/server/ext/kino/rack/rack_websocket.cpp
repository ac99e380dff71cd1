// SPDX-License-Identifier: MIT

#include "rack/rack_websocket.hpp"

#include "rack/websocket_application.hpp"
#include "websocket/channel_hub.hpp"
#include "websocket/event_stream.hpp"
#include "websocket/outbox.hpp"

#include <kino/convert.hpp>
#include <kino/wait.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <ruby/encoding.h>

namespace kino::server {

namespace {

using native = kino::native_object<rack_websocket>;

VALUE client_class = Qnil;
VALUE websocket_class = Qnil;
VALUE event_stream_class = Qnil;

websocket& socket_of(gvl const& held, VALUE client) { return *rack_websocket::client_of(held, client); }

// Of this process. Never destroyed, as above.
channel_hub& channels() {
  static auto& all = *new channel_hub;
  return all;
}

channel_hub::match match_of(VALUE pattern) { return RTEST(pattern) ? channel_hub::match::pattern : channel_hub::match::name; }

// The same bytes, which no other thread can change.
VALUE frozen(gvl const& held, VALUE string) {
  return kino::protect(held, [string] { return rb_str_new_frozen(string); });
}

opcode opcode_of(gvl const& held, VALUE string) {
  bool text = false;
  kino::protect(held, [&] {
    rb_encoding* const encoding = rb_enc_get(string);
    text = (encoding == rb_utf8_encoding() || encoding == rb_usascii_encoding()) &&
           rb_enc_str_coderange(string) != ENC_CODERANGE_BROKEN;
  });
  return text ? opcode::text : opcode::binary;
}

// Throws unless it is text and `allowed`.
std::string_view event_field(gvl const& held, VALUE value, bool (*allowed)(std::string_view) noexcept, char const* rule) {
  std::string_view const text = kino::bytes_of(held, value);
  if (opcode_of(held, value) == opcode::text && allowed(text)) return text;
  throw std::invalid_argument(rule);
}

}  // namespace

std::size_t publish(gvl const& held, VALUE channel, VALUE data, bool outwards) {
  std::size_t const size = kino::bytes_of(held, data).size();
  opcode const kind = opcode_of(held, data);
  channel_hub::publication made = channels().publish(kino::bytes_of(held, channel), kind);
  bool const takes_long = made.takes_long(size);
  if (takes_long) {
    channel = frozen(held, channel);
    data = frozen(held, data);
  }
  std::string_view const name = kino::bytes_of(held, channel);
  std::string_view const bytes = kino::bytes_of(held, data);
  std::size_t taken = 0;
  auto const send = [&] {
    taken = made.send(bytes);
    if (outwards) outbox::of_process().add(name, bytes, kind == opcode::text);
  };
  if (takes_long) {
    kino::without_gvl(held, send, kino::uninterruptible);
  } else {
    send();
  }
  RB_GC_GUARD(channel);
  RB_GC_GUARD(data);
  return taken;
}

VALUE take_outgoing(gvl const& held) {
  std::shared_ptr<outbox::queue> const from = outbox::of_process().current();
  if (!from) return Qnil;
  kino::wait(held, from->changed(), [&] { return from->ready(); });
  std::optional<outgoing_message> const next = from->take();
  if (!next) return Qnil;
  VALUE const channel = kino::to_ruby(held, next->channel, rb_utf8_encoding());
  VALUE const data = kino::to_ruby(held, next->data, next->text ? rb_utf8_encoding() : rb_ascii8bit_encoding());
  return kino::protect(held, [=] { return rb_assoc_new(channel, data); });
}

// --- the client ---------------------------------------------------------------------

std::shared_ptr<websocket> const& rack_websocket::client_of(gvl const& held, VALUE client) { return native::get(held, client).of_; }

VALUE rack_websocket::make(gvl const& held, std::shared_ptr<websocket> const& of) {
  VALUE const klass = of->speaks() == dialect::events ? event_stream_class : websocket_class;
  return native::wrap_shareable(held, klass, std::make_unique<rack_websocket>(of));
}

VALUE rack_websocket::write(gvl const& held, VALUE self, VALUE data) {
  websocket& to = socket_of(held, self);
  opcode const kind = opcode_of(held, data);
  bool accepted = false;
  if (to.takes_long_to_write(kino::bytes_of(held, data).size())) {
    data = frozen(held, data);
    std::string_view const bytes = kino::bytes_of(held, data);
    kino::without_gvl(held, [&] { accepted = to.write(kind, bytes); }, kino::uninterruptible);
  } else {
    accepted = to.write(kind, kino::bytes_of(held, data));
  }
  RB_GC_GUARD(self);
  RB_GC_GUARD(data);
  return kino::to_ruby(held, accepted);
}

// Of event streams; see Native::EventStream#write.
VALUE rack_websocket::write_event(gvl const& held, VALUE self, VALUE data, VALUE type, VALUE id, VALUE retry_ms) {
  websocket& to = socket_of(held, self);
  std::string_view const bytes = kino::bytes_of(held, data);
  if (opcode_of(held, data) != opcode::text) {
    throw std::invalid_argument("kino: an event stream carries text: the data must be a valid String in UTF-8 or US-ASCII");
  }
  event_fields fields;
  if (!NIL_P(type)) {
    fields.type = event_field(held, type, is_event_field, "kino: the event of an event must be text without line breaks and NUL");
  }
  if (!NIL_P(id)) {
    fields.id = event_field(held, id, is_event_id,
                            "kino: the id of an event must be text without control characters, and without spaces around it: it "
                            "comes back in a header field");
  }
  fields.retry_ms = kino::from_ruby<std::optional<std::uint64_t>>(held, retry_ms);
  bool const accepted = to.write(encode_event(bytes, fields));
  RB_GC_GUARD(data);
  RB_GC_GUARD(type);
  RB_GC_GUARD(id);
  return kino::to_ruby(held, accepted);
}

VALUE rack_websocket::close(gvl const& held, VALUE self) {
  socket_of(held, self).close(close_code::normal);
  return Qnil;
}

VALUE rack_websocket::fail(gvl const& held, VALUE self) {
  socket_of(held, self).close(close_code::internal_error);
  return Qnil;
}

VALUE rack_websocket::open(gvl const& held, VALUE self) { return kino::to_ruby(held, socket_of(held, self).open()); }

VALUE rack_websocket::pending(gvl const& held, VALUE self) { return kino::to_ruby(held, socket_of(held, self).kept()); }

VALUE rack_websocket::timeout(gvl const& held, VALUE self) {
  return kino::to_ruby(held, std::chrono::duration<double>(socket_of(held, self).ping_interval()).count());
}

VALUE rack_websocket::set_timeout(gvl const& held, VALUE self, VALUE seconds) {
  auto const given = kino::from_ruby<double>(held, seconds);
  if (!(given >= 0.001 && given <= 86400)) throw std::invalid_argument("kino: a timeout must be 0.001 to 86400 seconds");
  socket_of(held, self).set_ping_interval(std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(given)));
  return seconds;
}

VALUE rack_websocket::packed_env(gvl const& held, VALUE self) {
  return kino::to_ruby(held, packed_env_of(socket_of(held, self)), rb_ascii8bit_encoding());
}

VALUE rack_websocket::equal(gvl const& held, VALUE self, VALUE other) {
  bool const same_class = kino::protect(held, [other] { return rb_obj_is_kind_of(other, client_class); }) == Qtrue;
  return kino::to_ruby(held, same_class && client_of(held, self) == client_of(held, other));
}

VALUE rack_websocket::hash(gvl const& held, VALUE self) {
  return kino::to_ruby(held, static_cast<long>(std::hash<void*>{}(&socket_of(held, self)) >> 4));
}

VALUE rack_websocket::subscribe(gvl const& held, VALUE self, VALUE channel, VALUE pattern) {
  bool const open = channels().subscribe(client_of(held, self), kino::bytes_of(held, channel), match_of(pattern));
  return kino::to_ruby(held, open);
}

VALUE rack_websocket::unsubscribe(gvl const& held, VALUE self, VALUE channel, VALUE pattern) {
  return kino::to_ruby(held, channels().unsubscribe(*client_of(held, self), kino::bytes_of(held, channel), match_of(pattern)));
}

void rack_websocket::define(gvl const& held, VALUE module) {
  client_class = native::define_class(held, module, "Client");
  websocket_class = rb_define_class_under(module, "WebSocket", client_class);
  event_stream_class = rb_define_class_under(module, "EventStream", client_class);
  kino::define_method<&rack_websocket::write>(websocket_class, "write");
  kino::define_method<&rack_websocket::write_event>(event_stream_class, "write_event");
  kino::define_method<&rack_websocket::close>(client_class, "close");
  kino::define_method<&rack_websocket::fail>(client_class, "fail");
  kino::define_method<&rack_websocket::open>(client_class, "open?");
  kino::define_method<&rack_websocket::pending>(client_class, "pending");
  kino::define_method<&rack_websocket::timeout>(client_class, "timeout");
  kino::define_method<&rack_websocket::set_timeout>(client_class, "timeout=");
  kino::define_method<&rack_websocket::packed_env>(client_class, "packed_env");
  kino::define_method<&rack_websocket::subscribe>(client_class, "subscribe_to");
  kino::define_method<&rack_websocket::unsubscribe>(client_class, "unsubscribe_from");
  kino::define_method<&rack_websocket::equal>(client_class, "==");
  kino::define_method<&rack_websocket::equal>(client_class, "eql?");
  kino::define_method<&rack_websocket::hash>(client_class, "hash");
}

}  // namespace kino::server
