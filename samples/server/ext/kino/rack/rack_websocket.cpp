// SPDX-License-Identifier: MIT

#include "rack/rack_websocket.hpp"

#include "http/upgrade.hpp"
#include "rack/rack_response.hpp"
#include "websocket/channel_hub.hpp"
#include "websocket/handshake.hpp"

#include <kino/convert.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include <ruby/encoding.h>

namespace kino::server {

namespace {

using native = kino::native_object<rack_websocket>;
using kind = websocket_event::kind;

VALUE client_class = Qnil;
kino::shareable_set* handlers = nullptr;

constexpr std::array<std::pair<kind, char const*>, 5> callbacks{{{kind::open, "on_open"},
                                                                 {kind::message, "on_message"},
                                                                 {kind::drained, "on_drained"},
                                                                 {kind::shutdown, "on_shutdown"},
                                                                 {kind::close, "on_close"}}};

// Keys of handlers that Ruby keeps and that no connection needs any more. The lock is a leaf lock: connections end in
// any thread.
class forgotten_keys {
public:
  void add(std::uint64_t key) noexcept {
    std::lock_guard guard(mutex_);
    try {
      keys_.push_back(key);
    } catch (std::bad_alloc const&) {  // Then its handler stays.
    }
  }
  std::vector<std::uint64_t> take() noexcept {
    std::lock_guard guard(mutex_);
    return std::exchange(keys_, {});
  }

private:
  std::mutex mutex_;
  std::vector<std::uint64_t> keys_;
};

// Never destroyed: connections may outlive everything else.
forgotten_keys& forgotten() {
  static auto& all = *new forgotten_keys;
  return all;
}

// What the application has given for a connection. Only the holder of its turn uses the handler.
class handler_of final : public websocket::companion {
public:
  handler_of(kino::shareable handler, std::optional<std::uint64_t> key, std::string packed_env)
      : handler_(std::move(handler)), key_(key), packed_env_(std::move(packed_env)) {}
  handler_of(handler_of const&) = delete;
  ~handler_of() override {
    if (key_) forgotten().add(*key_);
  }

  [[nodiscard]] static handler_of& of(websocket const& one) { return static_cast<handler_of&>(*one.with()); }

  [[nodiscard]] VALUE handler(gvl const& held) const { return handler_ ? handler_.value(held) : Qnil; }
  [[nodiscard]] std::optional<std::uint64_t> key() const { return key_; }
  [[nodiscard]] std::string const& packed_env() const { return packed_env_; }
  // Nothing is called any more. Otherwise a handler that keeps its client would stay for ever.
  void drop_handler() noexcept { handler_ = {}; }

private:
  kino::shareable handler_;
  std::optional<std::uint64_t> const key_;
  std::string const packed_env_;
};

websocket& socket_of(gvl const& held, VALUE client) { return *rack_websocket::client_of(held, client); }

// Of this process. Never destroyed, as above.
channel_hub& channels() {
  static auto& all = *new channel_hub;
  return all;
}

channel_hub::match match_of(VALUE pattern) { return RTEST(pattern) ? channel_hub::match::pattern : channel_hub::match::name; }

// Publishing to so many takes less time than to give the GVL up.
constexpr std::size_t few = 8;

opcode opcode_of(gvl const& held, VALUE string) {
  bool text = false;
  kino::protect(held, [&] {
    rb_encoding* const encoding = rb_enc_get(string);
    text = (encoding == rb_utf8_encoding() || encoding == rb_usascii_encoding()) &&
           rb_enc_str_coderange(string) != ENC_CODERANGE_BROKEN;
  });
  return text ? opcode::text : opcode::binary;
}

}  // namespace

int upgrade_to_websocket(gvl const& held, worker_context& at, VALUE headers, websocket_application const& application,
                         websocket::settings const& settings, websocket_scheduler& turns) {
  exchange& asked = exchange::of(at.reply);
  if (int const problem = handshake_problem(asked.head())) return problem;
  websocket_interest wanted;
  for (auto const& [event, name] : callbacks) {
    bool has = false;
    kino::protect(held, [&, name = name] { has = rb_obj_respond_to(application.handler, rb_intern(name), 0) != 0; });
    // Ruby also drops the handler when it is told of the end.
    if (has || (event == kind::close && application.key)) wanted.add(event);
  }
  auto companion = std::make_unique<handler_of>(application.key ? kino::shareable() : handlers->keep(held, application.handler),
                                                application.key, std::string(kino::bytes_of(held, application.packed_env)));
  response_head& head = describe_upgrade(held, asked, "websocket", headers);
  accept_key const accepted = accept_key_for(asked.head());
  static_cast<void>(head.add("sec-websocket-accept", {accepted.data(), accepted.size()}));
  std::shared_ptr<upgrade> const next = std::make_shared<websocket>(settings, wanted, turns, std::move(companion));
  at.count_served();
  at.reply.answer({.head = &head, .end = true, .upgrade = &next});
  return 0;
}

VALUE take_websocket_event(gvl const& held, worker_context& at) {
  std::shared_ptr<websocket> const from = at.turn.of();
  websocket_event const event = at.turn.take();
  auto const* const called = std::find_if(callbacks.begin(), callbacks.end(), [&](auto const& each) { return each.first == event.what; });
  if (called == callbacks.end()) return Qnil;
  handler_of& application = handler_of::of(*from);
  VALUE const handler = application.handler(held);
  if (event.what == kind::close) application.drop_handler();
  VALUE const client = native::wrap_shareable(held, client_class, std::make_unique<rack_websocket>(from));
  VALUE const data = event.what != kind::message
                         ? Qnil
                         : kino::to_ruby(held, event.data, event.text ? rb_utf8_encoding() : rb_ascii8bit_encoding());
  VALUE const key = kino::to_ruby(held, application.key());
  return kino::protect(held, [&] { return rb_ary_new_from_args(5, ID2SYM(rb_intern(called->second)), client, handler, data, key); });
}

VALUE take_forgotten_handlers(gvl const& held) {
  std::vector<std::uint64_t> const keys = forgotten().take();
  return kino::protect(held, [&keys] {
    VALUE const all = rb_ary_new();
    for (std::uint64_t const key : keys) rb_ary_push(all, ULL2NUM(key));
    return all;
  });
}

std::size_t publish(gvl const& held, VALUE channel, VALUE data) {
  std::string_view const bytes = kino::bytes_of(held, data);
  opcode const kind = opcode_of(held, data);
  channel_hub::publication const made = channels().publish(kino::bytes_of(held, channel), kind, bytes);
  RB_GC_GUARD(channel);
  RB_GC_GUARD(data);
  if (made.size() <= few) return made.send();
  std::size_t taken = 0;
  kino::without_gvl(held, [&] { taken = made.send(); }, kino::uninterruptible);
  return taken;
}

// --- the client ---------------------------------------------------------------------

std::shared_ptr<websocket> const& rack_websocket::client_of(gvl const& held, VALUE client) { return native::get(held, client).of_; }

VALUE rack_websocket::write(gvl const& held, VALUE self, VALUE data) {
  websocket& to = socket_of(held, self);
  std::string_view const bytes = kino::bytes_of(held, data);
  bool const accepted = to.write(opcode_of(held, data), bytes);
  RB_GC_GUARD(data);
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
  return kino::to_ruby(held, handler_of::of(socket_of(held, self)).packed_env(), rb_ascii8bit_encoding());
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
  handlers = new kino::shareable_set(held);
  client_class = native::define_class(held, module, "WebSocket");
  kino::define_method<&rack_websocket::write>(client_class, "write");
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
