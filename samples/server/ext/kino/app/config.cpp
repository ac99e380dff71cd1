// SPDX-License-Identifier: MIT

#include "app/config.hpp"

#include "app/settings_reader.hpp"
#include "net/http_server.hpp"
#include "websocket/compression.hpp"
#include "websocket/websocket_reader.hpp"

#include <kino/convert.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <vector>

namespace kino::server {

namespace {

// Files and other sockets of the application need some descriptors, too.
std::size_t most_connections() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return 65536;
  return std::max<std::size_t>(64, files.rlim_cur / 10 * 8);
}

// Calls visit(name, setting, least, most) for every setting, as far as it has limits; name is its key in the Hash.
template <class Visitor>
void each_setting(config& of, Visitor&& visit) {
  limits& each = of.http.connection;
  visit("binds", of.http.binds);
  visit("reuse_port", of.http.reuse_port);
  visit("io_threads", of.http.io_threads, 1);
  visit("max_connections", each.max_connections, 1);
  visit("max_header_size", each.max_header_size, 1, tuning::most_header_size);
  visit("max_header_fields", each.max_header_fields, 1, 65536);
  visit("max_body_size", each.max_body_size, 0);
  visit("max_keep_alive", each.max_keep_alive, 1);
  visit("body_buffer", each.body_buffer, 1);
  visit("min_body_rate", each.min_body_rate, 0);
  visit("min_response_rate", each.min_response_rate, 0);
  visit("max_response_temp_file", each.max_response_temp_file, 0);
  visit("rate_grace", each.rate_grace);
  visit("stream_body", of.http.stream_body);
  visit("trusted_proxies", of.http.trusted_proxies);
  visit("forwarded_headers", of.http.forwarded);
  visit("http2", of.http.http2);
  visit("max_concurrent_streams", each.max_concurrent_streams, 1);
  visit("tls", of.http.tls);
  visit("handshake_timeout", of.http.handshake_timeout);
  visit("header_timeout", each.header_timeout);
  visit("body_timeout", each.body_timeout);
  visit("keep_alive_timeout", each.keep_alive_timeout);
  visit("queue_depth", of.queue_depth, 1);
  visit("queue_timeout", of.queue_timeout);
  visit("queue_target", of.queue_target);
  visit("request_timeout", of.request_timeout);
  visit("slots", of.slots, 1);
  visit("units", of.units, 1);
  visit("recycles", of.recycles);
  visit("max_requests", of.max_requests, 0);
  visit("max_requests_jitter", of.max_requests_jitter, 0);
  visit("quarantine_timeout", of.stuck.timeout);
  visit("quarantine_max", of.stuck.most, 0);
  visit("concurrency", of.concurrency, 0);
  visit("run_permits", of.run_permits);
  visit("early_hints", of.early_hints);
  visit("place", of.place);
  visit("access_log", of.access_log);
  visit("control", of.control);
  visit("route_metrics", of.route_metrics, 0);
  visit("websockets", of.websockets);
  visit("http2_websockets", each.http2_websockets);
  visit("websocket_compression", of.websocket_limits.compression);
  visit("event_streams", of.event_streams);
  visit("max_websocket_message_size", of.websocket_limits.max_message_size, 1);
  visit("max_websocket_pending", of.websocket_limits.most_kept, 1);
  visit("websocket_ping_interval", of.websocket_limits.ping_interval);
}

// An option that nothing reads would do nothing.
void refuse_unknown(gvl const& held, settings_reader const& from, std::vector<std::string_view> const& known) {
  VALUE const keys = from.keys();
  for (long i = 0; i < RARRAY_LEN(keys); ++i) {
    VALUE const key = RARRAY_AREF(keys, i);
    auto const name = kino::from_ruby<std::string>(held, kino::protect(held, [key] { return rb_obj_as_string(key); }));
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw std::invalid_argument("kino: the native server has no setting " + name);
    }
  }
}

// Writes settings into a Hash, in the form in which they are read; those of TLS, the access log and the binds, which others
// show, as whether there are any.
class writer {
public:
  explicit writer(gvl const& held) : held_(held), hash_(kino::protect(held, [] { return rb_hash_new(); })) {}

  template <class Number, class... Limits>
  void operator()(char const* name, Number value, Limits...) {
    put(name, kino::to_ruby(held_, value));
  }
  void operator()(char const* name, clock::duration value) {
    put(name, kino::protect(held_, [value] { return DBL2NUM(std::chrono::duration<double>(value).count()); }));
  }
  void operator()(char const* name, forwarded_headers which) {
    put(name, kino::protect(held_, [which] { return ID2SYM(rb_intern(name_of(which))); }));
  }
  void operator()(char const* name, std::vector<std::string> const& list) {
    VALUE const all = kino::protect(held_, [] { return rb_ary_new(); });
    for (std::string const& one : list) {
      VALUE const text = kino::to_ruby(held_, one);
      kino::protect(held_, [all, text] { rb_ary_push(all, text); });
    }
    put(name, all);
  }
  void operator()(char const* name, std::vector<bind_address> const& list) { (*this)(name, !list.empty()); }
  template <class Setting>
  void operator()(char const* name, std::optional<Setting> const& one) {
    (*this)(name, one.has_value());
  }

  [[nodiscard]] VALUE hash() const { return hash_; }

private:
  void put(char const* name, VALUE value) {
    kino::protect(held_, [&] { rb_hash_aset(hash_, ID2SYM(rb_intern(name)), value); });
  }

  gvl const& held_;
  VALUE hash_;
};

// Whether the server was built with a library; throws if not and Ruby asks for what it is needed for.
bool built(settings_reader const& from, char const* name, bool with, char const* library) {
  if (with || !RTEST(from[name])) return with;
  throw std::invalid_argument(std::string("kino: ") + name + " true: this server was built without it; build it with " +
                              library + ", or leave " + name + " out");
}

}  // namespace

tls_settings read_tls(gvl const& held, VALUE hash) {
  settings_reader const from(held, hash);
  tls_settings made;
  made.certificates = from.certificates();
  from.read("client_ca", made.client_ca);
  from.read("client_ca_name", made.client_ca_name);
  int clients = 0;
  from.read("clients", clients, 0, 2);
  made.clients = static_cast<tls::verify>(clients);
  return made;
}

access_log_settings read_access_log(gvl const& held, VALUE hash) {
  settings_reader const from(held, hash);
  access_log_settings made;
  from.read("destination", made.destination);
  from.read("format", made.format);
  from.read("sample", made.sample, 1, UINT32_MAX);
  from.read("color", made.color);
  return made;
}

control_settings read_control(gvl const& held, VALUE hash) {
  settings_reader const from(held, hash);
  control_settings made;
  from.read("binds", made.binds);
  from.read("token", made.token);
  from.read("page", made.page);
  from.read("page_policy", made.page_policy);
  from.read("mode", made.mode);
  from.read("version", made.version);
  from.read("ruby", made.ruby);
  from.read("workers", made.workers, 0);
  from.read("threads", made.threads, 0);
  from.read("started", made.started);
  from.read("collects", made.collects);
  return made;
}

config read_config(gvl const& held, VALUE hash) {
  settings_reader const from(held, hash);
  config made;
  made.http.connection.max_connections = most_connections();
  std::vector<std::string_view> known;
  each_setting(made, [&](char const* name, auto& setting, auto... limits) {
    known.emplace_back(name);
    from.read(name, setting, limits...);
  });
  refuse_unknown(held, from, known);
  made.http.http2 &= built(from, "http2", http_server::has_http2(), "nghttp2 (Debian: libnghttp2-dev)");
  made.websockets &= built(from, "websockets", websocket_reader::available(), "wslay (Debian: libwslay-dev)");
  made.http.connection.http2_websockets &= made.websockets;
  made.websocket_limits.compression &= built(from, "websocket_compression", has_compression(), "zlib (Debian: zlib1g-dev)");
  // More streams than that would only fill the queue.
  std::uint32_t& streams = made.http.connection.max_concurrent_streams;
  streams = static_cast<std::uint32_t>(std::min<std::size_t>(streams, made.queue_depth));
  return made;
}

VALUE show_config(gvl const& held, config& settings) {
  writer to(held);
  each_setting(settings, to);
  return to.hash();
}

}  // namespace kino::server
