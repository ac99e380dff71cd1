// SPDX-License-Identifier: MIT

#include "control/control_plane.hpp"

#include "control/metrics_page.hpp"
#include "control/stats_json.hpp"
#include "http/field_list.hpp"

#include <new>
#include <string>
#include <utility>

namespace kino::server {

namespace {

constexpr std::string_view plain = "text/plain; charset=utf-8";
constexpr std::string_view json = "application/json";

// Few clients with small requests: what they could hold is bounded by these numbers, and nothing else is.
options http_options(control_settings const& settings) {
  options made;
  made.binds = settings.binds;
  made.http2 = false;
  limits& each = made.connection;
  each.max_connections = 64;
  each.max_header_size = 8 * 1024;
  each.max_header_fields = 64;
  each.max_body_size = 1024;
  each.header_timeout = std::chrono::seconds(5);
  each.body_timeout = std::chrono::seconds(5);
  each.keep_alive_timeout = std::chrono::seconds(5);
  each.rate_grace = std::chrono::seconds(5);
  return made;
}

struct content {
  int status;
  std::string_view type;
  std::string_view body;
};

void respond(exchange::reply const& reply, content const& what, std::string_view field = {}, std::string_view value = {}) {
  response_head& head = exchange::of(reply).response();
  static_cast<void>(head.start(what.status));
  static_cast<void>(head.add("content-type", what.type));
  static_cast<void>(head.add("cache-control", "no-store"));
  static_cast<void>(head.add("x-content-type-options", "nosniff"));
  if (!field.empty()) static_cast<void>(head.add(field, value));
  iovec const body = piece(what.body);
  static_cast<void>(reply.answer({&head, {&body, 1}, true}));
}

void refuse(exchange::reply const& reply, control_access::verdict why) {
  int const status = control_access::status_of(why);
  content const what{status, plain, control_access::sentence_of(why)};
  status == 401 ? respond(reply, what, "www-authenticate", "Bearer realm=\"kino\"") : respond(reply, what);
}

content readiness_of(server_phase phase) {
  switch (phase) {
    case server_phase::starting: return {503, plain, "starting\n"};
    case server_phase::draining: return {503, plain, "draining\n"};
    case server_phase::serving: break;
  }
  return {200, plain, "ready\n"};
}

bool reads(std::string_view method) { return method == "GET" || method == "HEAD"; }

constexpr std::string_view endpoints = "the control plane has /live, /ready, /stats and /metrics\n";

bool readable(std::string_view path) {
  return path == "/stats" || path == "/metrics" || path == "/ready" || path == "/live";
}

// The value of the first field of this name; empty if there is none.
std::string_view field_of(exchange::reply const& reply, std::string_view name) {
  field_section const& fields = exchange::of(reply).head().fields();
  for (auto const& each : fields.all()) {
    if (equal_ignoring_case(fields.name(each), name)) return fields.value(each);
  }
  return {};
}

}  // namespace

control_plane::control_plane(control_settings const& settings, control_source const& source)
    : settings_(settings), source_(source), access_(settings.token), http_(http_options(settings), *this), inquiries_(http_.first_thread()) {}

std::vector<bind_address> control_plane::listen() {
  http_.listen();
  return http_.addresses();
}

void control_plane::stop() {
  inquiries_.close();
  http_.stop();
  inquiries_.drop();
}

// A request that is dropped, because there is no memory for its answer, gets 500.
void control_plane::handle(exchange::reply&& reply) noexcept {
  try {
    answer(reply);
  } catch (std::bad_alloc const&) {
    reply.abandon();
  }
}

void control_plane::answer(exchange::reply const& reply) {
  request const& head = exchange::of(reply).head();
  std::string_view const path = head.path();
  if (!readable(path)) return respond(reply, {404, plain, endpoints});
  if (!reads(head.method())) return respond(reply, {405, plain, "this only answers GET and HEAD\n"}, "allow", "GET, HEAD");
  if (path == "/live") return respond(reply, {200, plain, "alive\n"});
  if (path == "/ready") return respond(reply, readiness_of(source_.phase()));
  auto const verdict = access_.may_read(exchange::of(reply));
  if (verdict != control_access::verdict::admitted) return refuse(reply, verdict);
  if (path == "/metrics") return answer_metrics(reply);
  respond(reply, {200, json, stats_json(source_.statistics(), settings_)});
}

void control_plane::answer_metrics(exchange::reply const& reply) {
  kino::metrics_text::format const wanted = metrics_format(field_of(reply, "accept"));
  inquiries_.ask("ruby", {}, [this, reply, wanted](std::optional<std::string> const& ruby) {
    try {
      respond(reply, {200, metrics_type(wanted), metrics_page(source_, settings_, ruby, wanted)});
    } catch (std::bad_alloc const&) {
      reply.abandon();
    }
  });
}

}  // namespace kino::server
