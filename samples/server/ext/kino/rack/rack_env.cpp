// SPDX-License-Identifier: MIT

#include "rack/rack_env.hpp"

#include "http/field_list.hpp"
#include "http/field_name.hpp"
#include "http/upgrade.hpp"
#include "rack/rack_input.hpp"
#include "rack/rack_request.hpp"
#include "websocket/event_stream.hpp"
#include "websocket/handshake.hpp"

#include <kino/ruby_features.hpp>

#include <array>
#include <charconv>
#include <string_view>

namespace kino::server {

namespace {

// Keys that most requests have, or many.
constexpr std::string_view known_keys[] = {
    "CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_ACCEPT", "HTTP_ACCEPT_CHARSET",
    "HTTP_ACCEPT_ENCODING", "HTTP_ACCEPT_LANGUAGE", "HTTP_AUTHORIZATION", "HTTP_CACHE_CONTROL",
    "HTTP_CONNECTION", "HTTP_COOKIE", "HTTP_DNT", "HTTP_EXPECT", "HTTP_FORWARDED", "HTTP_HOST",
    "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_IF_RANGE", "HTTP_ORIGIN", "HTTP_PRAGMA",
    "HTTP_PRIORITY", "HTTP_RANGE", "HTTP_REFERER", "HTTP_SEC_CH_UA", "HTTP_SEC_CH_UA_MOBILE",
    "HTTP_SEC_CH_UA_PLATFORM", "HTTP_SEC_FETCH_DEST", "HTTP_SEC_FETCH_MODE",
    "HTTP_SEC_FETCH_SITE", "HTTP_SEC_FETCH_USER", "HTTP_TE", "HTTP_TRANSFER_ENCODING",
    "HTTP_UPGRADE", "HTTP_UPGRADE_INSECURE_REQUESTS", "HTTP_USER_AGENT", "HTTP_VIA",
    "HTTP_X_CSRF_TOKEN", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO", "HTTP_X_REAL_IP", "HTTP_X_REQUESTED_WITH", "HTTP_X_REQUEST_ID",
    "HTTPS", "kino.request", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_PORT", "REQUEST_METHOD", "SCRIPT_NAME",
    "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SSL_CLIENT_CERT", "SSL_CLIENT_S_DN",
    "SSL_CLIENT_VERIFY", "rack.after_reply", "rack.early_hints", "rack.errors", "rack.hijack", "rack.hijack?", "rack.input",
    "rack.protocol", "rack.response_finished", "rack.upgrade?", "rack.url_scheme",
};

// Values that depend on no client.
constexpr std::string_view known_values[] = {"", "NONE", "SUCCESS", "http", "https", "on"};

std::string_view version_text(http_version version) {
  switch (version) {
    case http_version::http_1_0: return "HTTP/1.0";
    case http_version::http_1_1: return "HTTP/1.1";
    case http_version::http_2: return "HTTP/2";
  }
  return {};
}

// Raises.
VALUE new_string(std::string_view bytes) { return rb_str_new(bytes.data(), static_cast<long>(bytes.size())); }

// The value of all fields of a name. Raises.
VALUE value_of(field_section const& fields, field_section::field const& first) {
  if (first.next == 0) return new_string(fields.value(first));
  VALUE const joined = rb_str_new(nullptr, static_cast<long>(fields.joined_size(first)));
  fields.copy_joined(first, RSTRING_PTR(joined));
  return joined;
}

// The protocols that a request offers to go on with, as an Array. Raises.
VALUE protocols_of(field_section const& fields) {
  VALUE const all = rb_ary_new();
  for (field_section::field const& one : fields.all()) {
    if (one.known != known_field::upgrade) continue;
    for_each_element(fields.value(one), [all](std::string_view protocol) { rb_ary_push(all, new_string(protocol)); });
  }
  return all;
}

}  // namespace

// Pairs of keys and values on the stack, where the collector sees them.
class rack_env::table {
public:
  static constexpr std::size_t most = 64;

  void add(VALUE key, VALUE value) {
    cells_[2 * count_] = key;
    cells_[2 * count_++ + 1] = value;
  }
  // Raises.
  void add(VALUE key, std::string_view bytes) { add(key, new_string(bytes)); }
  [[nodiscard]] bool full() const { return count_ == most; }

  // Raises; leaves the table empty.
  void flush_into(VALUE hash) {
    rb_hash_bulk_insert(static_cast<long>(2 * count_), cells_.data(), hash);
    count_ = 0;
  }

private:
  std::array<VALUE, 2 * most> cells_;
  std::size_t count_ = 0;
};

rack_env::rack_env(gvl const& held)
    : keys_(held, known_keys, {.capacity = 512, .longest = 128}),
      values_(held, known_values, {.encoding = rb_ascii8bit_encoding(), .capacity = 8}) {}

void rack_env::set_errors(gvl const& held, VALUE stream) {
  kino::protect(held, [stream] { rb_gc_register_mark_object(stream); });
  errors_ = stream;
}

void rack_env::set_early_hints(gvl const& held, VALUE callable) {
  kino::protect(held, [callable] { rb_gc_register_mark_object(callable); });
  early_hints_ = callable;
}

void rack_env::set_hijack(gvl const& held, VALUE callable) {
  kino::protect(held, [callable] { rb_gc_register_mark_object(callable); });
  hijack_ = callable;
}

VALUE rack_env::make(gvl const& held, worker_context& at, upgrade_offers offered) {
  return kino::protect(held, [&] { return filled(held, at, offered); });
}

// The key that CGI gives a field, see RFC 3875, 4.1.18.
VALUE rack_env::key_of(gvl const& held, worker_context& at, field_section const& fields,
                       field_section::field const& one) {
  // These two have no prefix.
  if (one.known == known_field::content_length) return *keys_.find("CONTENT_LENGTH");
  if (one.known == known_field::content_type) return *keys_.find("CONTENT_TYPE");
  static constexpr std::string_view prefix = "HTTP_";
  folded_name const name(fields.name(one));
  char* const key = at.scratch.prepare(prefix.size() + name.copied_size());
  prefix.copy(key, prefix.size());
  name.copy(key + prefix.size());
  return keys_.intern(held, {key, prefix.size() + one.name_length});
}

// Raises and throws; has no destructor that matters.
VALUE rack_env::filled(gvl const& held, worker_context& at, upgrade_offers offered) {
  exchange& from = exchange::of(at.reply);
  request const& head = from.head();
  auto const key = [this](std::string_view name) { return *keys_.find(name); };

  VALUE const hash = kino::new_hash(held, static_cast<long>(head.fields().name_count() + 18));
  // A body that is all there has a length, however it came, and no coding any more.
  bool const measured = head.unknown_length && !from.streamed();
  char length[20];
  VALUE const input = head.has_body() ? rack_input::make(held, at) : empty_rack_input::shared();
  bool const secure = from.secure();
  std::string_view const default_port = secure ? "443" : "80";
  table entries;
  entries.add(key("REQUEST_METHOD"), head.method());
  entries.add(key("SCRIPT_NAME"), *values_.find(""));
  entries.add(key("PATH_INFO"), head.path());
  entries.add(key("QUERY_STRING"), head.query());
  if (head.host_name().empty()) {
    entries.add(key("SERVER_NAME"), from.local().address);
    entries.add(key("SERVER_PORT"), from.local().port);
  } else {
    entries.add(key("SERVER_NAME"), head.host_name());
    entries.add(key("SERVER_PORT"), head.host_port().empty() ? default_port : head.host_port());
  }
  entries.add(key("SERVER_PROTOCOL"), version_text(head.version));
  entries.add(key("REMOTE_ADDR"), from.client().address);
  if (!from.client().port.empty()) entries.add(key("REMOTE_PORT"), from.client().port);
  entries.add(key("rack.url_scheme"), *values_.find(secure ? "https" : "http"));
  if (secure) entries.add(key("HTTPS"), *values_.find("on"));
  if (from.peer().certificate) add_certificate(entries, *from.peer().certificate);
  entries.add(key("rack.input"), input);
  entries.add(key("rack.hijack?"), Qtrue);
  entries.add(key("kino.request"), rack_request::make(at));
  if (head.version != http_version::http_2) entries.add(key("rack.hijack"), hijack_);
  if (head.version == http_version::http_2 || (at.early_hints && head.version == http_version::http_1_1)) {
    entries.add(key("rack.early_hints"), early_hints_);
  }
  if (measured) {
    char* const end = std::to_chars(length, length + sizeof length, from.collected().size()).ptr;
    entries.add(key("CONTENT_LENGTH"),
                std::string_view(length, static_cast<std::size_t>(end - length)));
  }
  field_section const& fields = head.fields();
  forwarded_origin const* const origin = from.origin();
  bool has_host = false;
  for (field_section::field const& one : fields.all()) {
    if (one.repeated || (measured && one.known == known_field::transfer_encoding)) continue;
    if (entries.full()) entries.flush_into(hash);
    if (auto const shown = origin ? origin->shown(one.known) : std::nullopt) {
      if (!shown->empty()) entries.add(key_of(held, at, fields, one), *shown);
      continue;
    }
    has_host |= one.known == known_field::host;
    entries.add(key_of(held, at, fields, one),
                one.known == known_field::host ? new_string(head.host()) : value_of(fields, one));
  }
  if (entries.full()) entries.flush_into(hash);
  if (!has_host && !head.host().empty()) entries.add(key("HTTP_HOST"), head.host());
  entries.flush_into(hash);
  if (head.asks_upgrade) rb_hash_aset(hash, key("rack.protocol"), protocols_of(fields));
  if (offered.websockets && asks_websocket(head)) {
    rb_hash_aset(hash, key("rack.upgrade?"), ID2SYM(rb_intern("websocket")));
  } else if (offered.event_streams && asks_event_stream(head) && !body_upgrade_obstacle(from)) {
    rb_hash_aset(hash, key("rack.upgrade?"), ID2SYM(rb_intern("sse")));
  }
  rb_hash_aset(hash, key("rack.errors"), errors_);
  VALUE const callbacks = rb_ary_new();
  rb_hash_aset(hash, key("rack.response_finished"), callbacks);
  rb_hash_aset(hash, key("rack.after_reply"), callbacks);
  at.scratch.clear(tuning::kept_capacity);
  return hash;
}

// Raises.
void rack_env::add_certificate(table& entries, client_certificate const& certificate) {
  auto const key = [this](std::string_view name) { return *keys_.find(name); };
  entries.add(key("SSL_CLIENT_VERIFY"), *values_.find(certificate.pem.empty() ? "NONE" : "SUCCESS"));
  if (certificate.pem.empty()) return;
  entries.add(key("SSL_CLIENT_CERT"), certificate.pem);
  entries.add(key("SSL_CLIENT_S_DN"), certificate.subject);
}

}  // namespace kino::server
