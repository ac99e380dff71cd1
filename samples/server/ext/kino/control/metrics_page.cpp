// SPDX-License-Identifier: MIT

#include "control/metrics_page.hpp"

#include "http/accept.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <utility>

namespace kino::server {

namespace {

using format = kino::metrics_text::format;

constexpr std::string_view open_metrics_type = "application/openmetrics-text";

// No value has a line feed, the third character that would have to be escaped.
std::string label(std::string_view name, std::string_view value) {
  std::string text(name);
  text += "=\"";
  for (char const c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  text += '"';
  return text;
}

void write_facts(kino::metrics_text& to, control_settings const& facts) {
  to.family("kino_info", "Version, Ruby and mode of this server; always 1.", "gauge");
  to.sample("kino_info",
            label("version", facts.version) + "," + label("ruby", facts.ruby) + "," + label("mode", facts.mode),
            std::uint64_t{1});
  to.gauge("kino_start_time_seconds", "When the server was made, in Unix time.", facts.started);
}

void write_state(kino::metrics_text& to, control_source const& source, server_statistics const& now) {
  to.gauge("kino_ready", "1 while the server accepts connections and its workers are ready, else 0.",
           source.phase() == server_phase::serving);
  to.gauge("kino_connections", "Open connections.", static_cast<double>(now.connections));
  to.gauge("kino_websockets", "WebSockets that are open, or have events left.", static_cast<double>(now.websockets));
  to.gauge("kino_requests_queued", "Complete requests that no worker has begun.", static_cast<double>(now.queued));
  to.gauge("kino_requests_overflow", "Queued requests beyond queue_depth.", static_cast<double>(now.overflow));
  to.gauge("kino_requests_in_flight", "Requests that workers have now.", static_cast<double>(now.in_flight));
}

void write_workers(kino::metrics_text& to, control_settings const& facts, server_statistics const& now) {
  std::size_t busy = 0;
  std::chrono::milliseconds longest{0};
  for (auto const& slot : now.slots) {
    busy += slot.in_flight != 0 && !slot.quarantined;
    longest = std::max(longest, slot.busy);
  }
  to.gauge("kino_workers_configured", "Workers that the server keeps.", static_cast<double>(facts.workers) * facts.threads);
  to.gauge("kino_workers_alive", "Workers that are there.", static_cast<double>(now.alive));
  to.gauge("kino_workers_quarantined", "Workers that are stuck and were put aside.", static_cast<double>(now.quarantined));
  to.counter("kino_worker_quarantines_total", "How often a stuck worker was put aside.", now.quarantines);
  to.gauge("kino_workers_busy", "Workers that have a request and were not put aside.", static_cast<double>(busy));
  to.gauge("kino_worker_longest_request_seconds", "Age of the oldest request that a worker has; 0 if there is none.",
           std::chrono::duration<double>(longest).count());
  to.counter("kino_worker_respawns_total", "Workers that have died and were replaced.", now.respawns);
  to.counter("kino_workers_recycled_total", "Workers that were replaced after max_requests.", now.recycled);
}

void write_counts(kino::metrics_text& to, server_statistics const& now) {
  to.counter("kino_requests_served_total", "Requests whose response is complete, or that their worker has dropped.", now.served);
  to.counter("kino_requests_rejected_total", "Requests that no worker took within queue_timeout, or that were shed (503).", now.rejected);
  to.counter("kino_requests_shed_total", "Requests that were refused because the queue stayed longer than queue_target.", now.shed);
  to.counter("kino_requests_timed_out_total", "Responses that did not begin within request_timeout (504).", now.timeouts);
  to.counter("kino_requests_refused_total", "Malformed requests, and those that exceed a limit.", now.refused);
  to.counter("kino_requests_client_gone_total", "Requests whose client had left before a worker could begin.", now.client_gone);
  to.counter("kino_websocket_events_total", "Events of WebSockets that workers have taken.", now.websocket_events);
}

void write_exchanges(kino::metrics_text& to, request_totals const& sums) {
  to.family("kino_exchanges_total", "Requests by how they ended.", "counter");
  for (std::size_t i = 0; i != sums.ends.size(); ++i) {
    to.sample("kino_exchanges_total", label("end", exchange_end_names[i]), sums.ends[i]);
  }
  to.counter("kino_request_body_bytes_total", "Bytes of request bodies that were received.", sums.request_bytes);
  to.counter("kino_response_body_bytes_total", "Bytes of response bodies that were accepted for sending.", sums.response_bytes);
  to.histogram("kino_queue_duration_seconds", "Time from when a request was ready until a worker took it.", sums.queue);
  to.histogram("kino_app_duration_seconds", "Time from when a worker took a request until its response began.", sums.app);
  constexpr std::string_view total = "kino_request_duration_seconds";
  to.family(total, "Time from the first byte of a request until its response was sent, by class of its status.", "histogram");
  for (std::size_t i = 0; i != sums.total.size(); ++i) {
    to.histogram_samples(total, label("class", status_classes[i]), sums.total[i]);
  }
}

void write_routes(kino::metrics_text& to, route_table const& routes) {
  constexpr std::string_view name = "kino_route_duration_seconds";
  to.family(name, "Time from the first byte of a request until its response was sent, by route and class of its status.", "histogram");
  routes.for_each([&](route_times const& route) {
    for (std::size_t i = 0; i != route.total.size(); ++i) {
      if (route.total[i].count() == 0) continue;
      to.histogram_samples(name, label("route", route.pattern) + "," + label("class", status_classes[i]), route.total[i]);
    }
  });
}

void write_tls(kino::metrics_text& to, tls_statistics const& tls) {
  to.counter("kino_tls_handshakes_total", "Complete TLS handshakes.", tls.handshakes);
  to.counter("kino_tls_resumptions_total", "Complete TLS handshakes that resumed a session.", tls.resumed);
  to.family("kino_tls_failures_total", "TLS handshakes that failed, by reason.", "counter");
  to.sample("kino_tls_failures_total", label("reason", "timeout"), tls.timed_out);
  for (auto const& [why, name] : tls_failure_names) {
    to.sample("kino_tls_failures_total", label("reason", name), tls.failed[static_cast<std::size_t>(why)]);
  }
}

void write_gvl(kino::metrics_text& to, control_source const& source) {
  kino::latency_histogram waits;
  if (!source.add_gvl_waits_to(waits)) return;
  to.histogram("kino_gvl_wait_duration_seconds", "Time from when a Ruby thread could go on until it had the GVL of its Ractor.", waits);
}

struct ruby_metric {
  std::string_view name, help, type;
};

// What Ruby may tell; lib/kino/control/ruby_facts.rb tells it.
constexpr ruby_metric ruby_metrics[] = {
    {"kino_gc_runs_total", "Garbage collections.", "counter"},
    {"kino_gc_major_runs_total", "Garbage collections of the whole heap.", "counter"},
    {"kino_gc_seconds_total", "Time of garbage collections.", "counter"},
    {"kino_gc_allocated_objects_total", "Ruby objects that were allocated.", "counter"},
    {"kino_gc_heap_live_slots", "Ruby objects in the heap.", "gauge"},
    {"kino_ruby_threads", "Threads of the main Ractor.", "gauge"},
};

// The number behind "NAME " at the start of a line.
std::optional<double> number_of(std::string_view name, std::string_view lines) {
  for (std::string_view rest = lines; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') continue;
    line.remove_prefix(name.size() + 1);
    double value = 0;
    if (std::from_chars(line.data(), line.data() + line.size(), value).ec == std::errc()) return value;
  }
  return std::nullopt;
}

void write_ruby(kino::metrics_text& to, std::optional<std::string> const& ruby) {
  to.gauge("kino_ruby_answered", "1 if Ruby answered this time, within a second; 0 if it was too busy, and what it counts is missing.",
           ruby.has_value());
  if (!ruby) return;
  for (ruby_metric const& each : ruby_metrics) {
    auto const value = number_of(each.name, *ruby);
    if (!value) continue;
    to.family(each.name, each.help, each.type);
    to.sample(each.name, "", *value);
  }
}

}  // namespace

// Prometheus lists what it can read, with its preference as q; a client that can read OpenMetrics gets it.
format metrics_format(std::string_view accept) noexcept {
  return names_media_type(accept, open_metrics_type) ? format::open_metrics : format::prometheus;
}

std::string_view metrics_type(format written) noexcept {
  return written == format::open_metrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                         : "text/plain; version=0.0.4; charset=utf-8";
}

std::string metrics_page(control_source const& source, control_settings const& facts, std::optional<std::string> const& ruby,
                         format written) {
  server_statistics const now = source.statistics();
  request_totals sums;
  source.add_requests_to(sums);
  kino::metrics_text to(written);
  write_facts(to, facts);
  write_state(to, source, now);
  write_workers(to, facts, now);
  write_counts(to, now);
  write_exchanges(to, sums);
  if (route_table const* const routes = source.routes()) write_routes(to, *routes);
  if (now.tls) write_tls(to, *now.tls);
  write_gvl(to, source);
  write_ruby(to, ruby);
  to.finish();
  return to.str();
}

}  // namespace kino::server
