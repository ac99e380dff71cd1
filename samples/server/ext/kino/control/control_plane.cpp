// SPDX-License-Identifier: MIT

#include "control/control_plane.hpp"

#include "control/metrics_page.hpp"
#include "control/stats_json.hpp"
#include "control/workers_json.hpp"

#include <initializer_list>
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

using fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

void respond(exchange::reply const& reply, content const& what, fields more = {}) {
  response_head& head = exchange::of(reply).response();
  static_cast<void>(head.start(what.status));
  static_cast<void>(head.add("content-type", what.type));
  static_cast<void>(head.add("cache-control", "no-store"));
  static_cast<void>(head.add("x-content-type-options", "nosniff"));
  for (auto const& [name, value] : more) static_cast<void>(head.add(name, value));
  iovec const body = piece(what.body);
  static_cast<void>(reply.answer({&head, {&body, 1}, true}));
}

void refuse(exchange::reply const& reply, control_access::verdict why) {
  int const status = control_access::status_of(why);
  content const what{status, plain, control_access::sentence_of(why)};
  status == 401 ? respond(reply, what, {{"www-authenticate", "Bearer realm=\"kino\""}}) : respond(reply, what);
}

content readiness_of(server_phase phase) {
  switch (phase) {
    case server_phase::starting: return {503, plain, "starting\n"};
    case server_phase::draining: return {503, plain, "draining\n"};
    case server_phase::stuck: return {503, plain, "stuck\n"};
    case server_phase::serving: break;
  }
  return {200, plain, "ready\n"};
}

constexpr std::string_view endpoints =
    "the control plane has a page at /, /live, /ready, /stats, /metrics and /workers, and POST /reload, /stop and /log-level\n";

// What a path is for.
enum class purpose { none, page, probe, reading, action };

purpose purpose_of(std::string_view path) {
  if (path == "/") return purpose::page;
  if (path == "/ready" || path == "/live") return purpose::probe;
  if (path == "/stats" || path == "/metrics" || path == "/workers") return purpose::reading;
  if (path == "/reload" || path == "/stop" || path == "/log-level") return purpose::action;
  return purpose::none;
}

}  // namespace

control_plane::control_plane(control_settings const& settings, control_source const& source)
    : settings_(settings), source_(source), access_(settings.token), http_(http_options(settings), *this), inquiries_(http_.first_thread()) {
  // Or clients that only connect would keep operators out.
  http_.displace_others();
}

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
  purpose const what = purpose_of(path);
  if (what == purpose::none) return respond(reply, {404, plain, endpoints});
  bool const post = head.method() == "POST";
  if (what == purpose::action && !post) return respond(reply, {405, plain, "this only answers POST\n"}, {{"allow", "POST"}});
  if (what != purpose::action && head.method() != "GET" && !head.head_only()) {
    return respond(reply, {405, plain, "this only answers GET and HEAD\n"}, {{"allow", "GET, HEAD"}});
  }
  if (what == purpose::page) return answer_page(reply);
  if (path == "/live") return respond(reply, {200, plain, "alive\n"});
  if (path == "/ready") {
    bool const left = left_.load(std::memory_order_relaxed);  // see leave
    return respond(reply, readiness_of(left ? server_phase::serving : source_.phase()));
  }
  exchange const& asked = exchange::of(reply);
  auto const verdict = what == purpose::action ? access_.may_act(asked) : access_.may_read(asked);
  if (verdict != control_access::verdict::admitted) return refuse(reply, verdict);
  if (what == purpose::action) return act(reply, path.substr(1));
  if (settings_.collects) return answer_collected(reply, path.substr(1));
  if (path == "/metrics") return answer_metrics(reply);
  if (path == "/workers") return answer_workers(reply);
  respond(reply, {200, json, stats_json(source_.statistics(), settings_)});
}

void control_plane::answer_page(exchange::reply const& reply) const {
  respond(reply, {200, "text/html; charset=utf-8", settings_.page},
          {{"content-security-policy", settings_.page_policy}, {"x-frame-options", "DENY"}, {"referrer-policy", "no-referrer"}});
}

// Asks Ruby; `respond_with` gets its answer. False if Ruby has too many questions already.
template <class RespondWith>
bool control_plane::ask(exchange::reply const& reply, std::string subject, std::string detail, RespondWith respond_with) {
  return inquiries_.ask(std::move(subject), std::move(detail), [reply, respond_with](std::optional<std::string> const& answer) {
    try {
      respond_with(answer);
    } catch (std::bad_alloc const&) {
      reply.abandon();
    }
  });
}

namespace {

kino::metrics_text::format wanted_format(exchange::reply const& reply) {
  field_section const& fields = exchange::of(reply).head().fields();
  auto const* const accept = fields.find("accept");
  return metrics_format(accept ? fields.value(*accept) : "");
}

}  // namespace

void control_plane::answer_metrics(exchange::reply const& reply) {
  kino::metrics_text::format const wanted = wanted_format(reply);
  auto const then = [this, reply, wanted](std::optional<std::string> const& ruby) {
    respond(reply, {200, metrics_type(wanted), metrics_page(source_, settings_, ruby, wanted)});
  };
  if (!ask(reply, "ruby", {}, then)) then(std::nullopt);
}

void control_plane::answer_workers(exchange::reply const& reply) {
  if (exchange::of(reply).head().query() != "backtraces=1") return respond(reply, {200, json, workers_json(source_, nullptr)});
  auto const then = [this, reply](backtraces const& found) { respond(reply, {200, json, workers_json(source_, &found)}); };
  if (!ask(reply, "backtraces", {}, then)) then(std::nullopt);
}

// The detail is the Accept field that the processes get, or the query.
void control_plane::answer_collected(exchange::reply const& reply, std::string_view subject) {
  bool const metrics = subject == "metrics";
  std::string_view const type = metrics ? metrics_type(wanted_format(reply)) : json;
  auto const then = [reply, type](std::optional<std::string> const& sums) {
    if (sums) return respond(reply, {200, type, *sums});
    respond(reply, {503, plain, "the processes of this server have not answered in time; ask again later\n"});
  };
  std::string detail(metrics ? type.substr(0, type.find(';')) : exchange::of(reply).head().query());
  if (!ask(reply, std::string(subject), std::move(detail), then)) then(std::nullopt);
}

void control_plane::act(exchange::reply const& reply, std::string_view action) {
  auto const then = [reply](std::optional<std::string> const& done) {
    // What Ruby has not begun in time, it does when it can.
    if (!done) return respond(reply, {202, plain, "accepted; Ruby is busy and will do it later\n"});
    respond(reply, {done->starts_with("cannot ") ? 422 : 200, plain, *done + "\n"});
  };
  if (ask(reply, std::string(action), std::string(exchange::of(reply).head().query()), then)) return;
  respond(reply, {503, plain, "Ruby is busy, and too many questions wait for it; ask again later\n"});
}

}  // namespace kino::server
