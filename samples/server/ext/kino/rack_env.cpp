// SPDX-License-Identifier: MIT

#include "rack_env.hpp"

#include "connection.hpp"
#include "rack_input.hpp"

#include <kino/detail/ruby.hpp>

#include <array>
#include <string_view>

namespace kino::server {

namespace {

constexpr std::string_view frequent_keys[] = {
    "CONTENT_TYPE",           "HTTP_ACCEPT",
    "HTTP_ACCEPT_CHARSET",    "HTTP_ACCEPT_ENCODING",
    "HTTP_ACCEPT_LANGUAGE",   "HTTP_CACHE_CONTROL",
    "HTTP_CONNECTION",        "HTTP_DNT",
    "HTTP_EXPECT",            "HTTP_HOST",
    "HTTP_ORIGIN",            "HTTP_PRAGMA",
    "HTTP_PRIORITY",          "HTTP_SEC_CH_UA",
    "HTTP_SEC_CH_UA_MOBILE",  "HTTP_SEC_CH_UA_PLATFORM",
    "HTTP_SEC_FETCH_DEST",    "HTTP_SEC_FETCH_MODE",
    "HTTP_SEC_FETCH_SITE",    "HTTP_SEC_FETCH_USER",
    "HTTP_TE",                "HTTP_TRANSFER_ENCODING",
    "HTTP_UPGRADE",           "HTTP_UPGRADE_INSECURE_REQUESTS",
    "HTTP_USER_AGENT",        "HTTP_VIA",
    "HTTP_X_FORWARDED_HOST",  "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO", "HTTP_X_REQUESTED_WITH",
};

constexpr std::string_view other_keys[] = {
    "CONTENT_LENGTH",    "HTTP_AUTHORIZATION",     "HTTP_COOKIE",
    "HTTP_FORWARDED",    "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH",
    "HTTP_IF_RANGE",     "HTTP_RANGE",             "HTTP_REFERER",
    "HTTP_X_CSRF_TOKEN", "HTTP_X_FORWARDED_FOR",   "HTTP_X_REAL_IP",
    "HTTP_X_REQUEST_ID", "PATH_INFO",              "QUERY_STRING",
    "REMOTE_ADDR",       "REQUEST_METHOD",         "SCRIPT_NAME",
    "SERVER_NAME",       "SERVER_PORT",            "SERVER_PROTOCOL",
    "rack.errors",       "rack.input",             "rack.response_finished",
    "rack.url_scheme",
};

constexpr std::string_view fixed_values[] = {
    "",     "http",  "HTTP/1.1", "HTTP/1.0", "80",      "127.0.0.1", "localhost", "GET",
    "HEAD", "POST",  "PUT",      "DELETE",   "OPTIONS", "PATCH",     "*/*",       "keep-alive",
    "close",
};

}  // namespace

// Pairs of keys and values on the stack, where the collector sees them. What is a fresh String
// is first only noted, because the caches throw C++ exceptions and Ruby's constructors jump:
// all of the latter are called together, under one protection.
class rack_env::table {
public:
  static constexpr std::size_t most = 64;

  void add(VALUE key, VALUE value) {
    cells_[2 * count_] = key;
    cells_[2 * count_++ + 1] = value;
  }
  void add(VALUE key, std::string_view bytes) {
    fresh_[count_] = bytes;
    add(key, Qundef);
  }
  [[nodiscard]] bool full() const { return count_ == most; }

  // Raises; leaves the table empty.
  void flush_into(VALUE hash) {
    for (std::size_t i = 0; i < count_; ++i) {
      VALUE& value = cells_[2 * i + 1];
      if (value == Qundef) value = rb_str_new(fresh_[i].data(), static_cast<long>(fresh_[i].size()));
    }
    rb_hash_bulk_insert(static_cast<long>(2 * count_), cells_.data(), hash);
    count_ = 0;
  }

private:
  std::array<VALUE, 2 * most> cells_;
  std::array<std::string_view, most> fresh_;
  std::size_t count_ = 0;
};

rack_env::rack_env(gvl const& held)
    : frequent_(held, frequent_keys, {.capacity = 8}),
      keys_(held, other_keys, {.capacity = 512, .longest = 128}),
      values_(held, fixed_values,
              {.encoding = rb_ascii8bit_encoding(), .capacity = 2048, .longest = 512}) {}

VALUE rack_env::make(gvl const& held, seat& at) {
  exchange& from = exchange::of(at.current.reply);
  request const& head = from.head();
  auto const key = [this](std::string_view name) { return keys_.find(name); };
  auto const value = [&](std::string_view bytes) { return values_.intern(held, bytes); };

  VALUE const hash = kino::protect(held, [&] {
    return kino::detail::new_hash(static_cast<long>(head.headers().size() + 13));
  });
  VALUE const input = head.has_body() ? rack_input::make(held, at) : empty_rack_input::shared();
  table entries;
  entries.add(key("REQUEST_METHOD"), value(head.method));
  entries.add(key("SCRIPT_NAME"), value(""));
  entries.add(key("PATH_INFO"), head.path());
  if (head.query().empty()) {
    entries.add(key("QUERY_STRING"), value(""));
  } else {
    entries.add(key("QUERY_STRING"), head.query());
  }
  if (head.host_name().empty()) {
    entries.add(key("SERVER_NAME"), value(from.local().address));
    entries.add(key("SERVER_PORT"), value(from.local().port));
  } else {
    entries.add(key("SERVER_NAME"), value(head.host_name()));
    entries.add(key("SERVER_PORT"), value(head.host_port().empty() ? "80" : head.host_port()));
  }
  entries.add(key("SERVER_PROTOCOL"), value(head.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1"));
  entries.add(key("REMOTE_ADDR"), value(from.peer().address));
  entries.add(key("rack.url_scheme"), value("http"));
  entries.add(key("rack.input"), input);
  for (request::header const& one : head.headers()) {
    if (entries.full()) kino::protect(held, [&] { entries.flush_into(hash); });
    std::string_view const name = head.key(one);
    if (VALUE const often = frequent_.find(name); often != Qundef) {
      entries.add(often, value(head.value(one)));
    } else {
      entries.add(keys_.intern(held, name), head.value(one));
    }
  }
  kino::protect(held, [&] {
    entries.flush_into(hash);
    rb_hash_aset(hash, key("rack.errors"), rb_ractor_stderr());
    rb_hash_aset(hash, key("rack.response_finished"), rb_ary_new());
  });
  return hash;
}

}  // namespace kino::server
