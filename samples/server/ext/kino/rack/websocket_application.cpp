// SPDX-License-Identifier: MIT

#include "rack/websocket_application.hpp"

#include "http/upgrade.hpp"
#include "rack/rack_response.hpp"
#include "rack/rack_websocket.hpp"
#include "websocket/compression.hpp"
#include "websocket/handshake.hpp"

#include <kino/convert.hpp>
#include <kino/shareable.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include <ruby/encoding.h>

namespace kino::server {

namespace {

using kind = websocket_event::kind;

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

// The connection of a request, with what the application has given for it.
std::shared_ptr<upgrade> make_websocket(gvl const& held, websocket_application const& application, websocket::settings const& settings,
                                        websocket_scheduler& turns) {
  websocket_interest wanted;
  for (auto const& [event, name] : callbacks) {
    bool has = false;
    kino::protect(held, [&, name = name] { has = rb_obj_respond_to(application.handler, rb_intern(name), 0) != 0; });
    // Ruby also drops the handler when it is told of the end.
    if (has || (event == kind::close && application.key)) wanted.add(event);
  }
  auto companion = std::make_unique<handler_of>(application.key ? kino::shareable() : handlers->keep(held, application.handler),
                                                application.key, std::string(kino::bytes_of(held, application.packed_env)));
  return std::make_shared<websocket>(settings, wanted, turns, std::move(companion));
}

}  // namespace

void define_websocket_application(gvl const& held) { handlers = new kino::shareable_set(held); }

int upgrade_to_websocket(gvl const& held, worker_context& at, VALUE headers, websocket_application const& application,
                         websocket::settings const& settings, websocket_scheduler& turns) {
  exchange& asked = exchange::of(at.reply);
  if (int const problem = handshake_problem(asked.head())) return problem;
  std::optional<compression_terms> const terms = settings.compression ? accept_compression(asked.head()) : std::nullopt;
  websocket::settings chosen = settings;
  if (terms) chosen.speaks = terms->speaks;
  std::shared_ptr<upgrade> const next = make_websocket(held, application, chosen, turns);
  bool const stream = asked.head().extended_connect;
  response_head& head = stream ? describe_stream(held, asked, headers) : describe_upgrade(held, asked, "websocket", headers);
  if (!stream) {
    accept_key const accepted = accept_key_for(asked.head());
    static_cast<void>(head.add("sec-websocket-accept", {accepted.data(), accepted.size()}));
  }
  if (terms) static_cast<void>(head.add("sec-websocket-extensions", terms->field));
  at.count_served();
  at.reply.answer({.head = &head, .end = true, .upgrade = &next});
  return 0;
}

void begin_event_stream(gvl const& held, worker_context& at, VALUE headers, websocket_application const& application,
                        websocket::settings const& settings, websocket_scheduler& turns) {
  exchange& asked = exchange::of(at.reply);
  if (char const* const obstacle = body_upgrade_obstacle(asked)) {
    throw std::invalid_argument(std::string("kino: the response cannot be an event stream: ") + obstacle);
  }
  websocket::settings chosen = settings;
  chosen.speaks = dialect::events;
  std::shared_ptr<upgrade> const next = make_websocket(held, application, chosen, turns);
  response_head& head = describe_stream(held, asked, headers);
  at.count_served();
  at.reply.answer({.head = &head, .end = true, .upgrade = &next});
}

VALUE take_websocket_event(gvl const& held, worker_context& at) {
  std::shared_ptr<websocket> const from = at.turn.of();
  websocket_event event;
  if (at.turn.takes_long()) {
    kino::without_gvl(held, [&] { event = at.turn.take(); }, kino::uninterruptible);
  } else {
    event = at.turn.take();
  }
  auto const* const called = std::find_if(callbacks.begin(), callbacks.end(), [&](auto const& each) { return each.first == event.what; });
  if (called == callbacks.end()) return Qnil;
  handler_of& application = handler_of::of(*from);
  VALUE const handler = application.handler(held);
  if (event.what == kind::close) application.drop_handler();
  VALUE const client = rack_websocket::make(held, from);
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

std::string const& packed_env_of(websocket const& one) { return handler_of::of(one).packed_env(); }

}  // namespace kino::server
