// SPDX-License-Identifier: MIT

#include "rack/rack_env.hpp"

#include "rack/rack_input.hpp"

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
    "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "REQUEST_METHOD", "SCRIPT_NAME", "SERVER_NAME",
    "SERVER_PORT", "SERVER_PROTOCOL", "rack.errors", "rack.input", "rack.response_finished",
    "rack.url_scheme",
};

// Values that depend on no client.
constexpr std::string_view known_values[] = {"", "http"};

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
  void add(VALUE key, std::string_view bytes) {
    add(key, rb_str_new(bytes.data(), static_cast<long>(bytes.size())));
  }
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

VALUE rack_env::make(gvl const& held, worker_context& at) {
  return kino::protect(held, [&] { return filled(held, at); });
}

// Raises and throws; has no destructor that matters.
VALUE rack_env::filled(gvl const& held, worker_context& at) {
  exchange& from = exchange::of(at.reply);
  request const& head = from.head();
  auto const key = [this](std::string_view name) { return *keys_.find(name); };

  VALUE const hash = kino::new_hash(held, static_cast<long>(head.headers().size() + 14));
  // A body that is all there has a length, however it came, and no coding any more.
  bool const dechunked = head.chunked && !from.streamed();
  char length[20];
  VALUE const input = head.has_body() ? rack_input::make(held, at) : empty_rack_input::shared();
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
    entries.add(key("SERVER_PORT"), head.host_port().empty() ? "80" : head.host_port());
  }
  entries.add(key("SERVER_PROTOCOL"), std::string_view(head.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1"));
  entries.add(key("REMOTE_ADDR"), from.peer().address);
  entries.add(key("rack.url_scheme"), *values_.find("http"));
  entries.add(key("rack.input"), input);
  if (dechunked) {
    char* const end = std::to_chars(length, length + sizeof length, from.collected().size()).ptr;
    entries.add(key("CONTENT_LENGTH"),
                std::string_view(length, static_cast<std::size_t>(end - length)));
  }
  for (request::header const& one : head.headers()) {
    if (dechunked && one.known == known_header::transfer_encoding) continue;
    if (entries.full()) entries.flush_into(hash);
    entries.add(keys_.intern(held, head.key(one)), head.value(one));
  }
  entries.flush_into(hash);
  rb_hash_aset(hash, key("rack.errors"), errors_);
  rb_hash_aset(hash, key("rack.response_finished"), rb_ary_new());
  return hash;
}

}  // namespace kino::server
