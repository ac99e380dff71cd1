// SPDX-License-Identifier: MIT

#include "http/request.hpp"

#include "http/authority.hpp"
#include "http/grammar.hpp"
#include "http/field_groups.hpp"
#include "http/field_list.hpp"
#include "base/options.hpp"
#include "http/request_line.hpp"

#include <algorithm>
#include <charconv>
#include <span>

namespace kino::server {

namespace {

constexpr std::string_view key_prefix = "HTTP_";

// Positions in the arena have 32 bits; see request for how many bytes a head takes there.
static_assert(tuning::most_header_size < UINT32_MAX / 2 - 16);

known_header identify(std::string_view key) {
  switch (key.size()) {
    case 4: return key == "HOST" ? known_header::host : known_header::other;
    case 6:
      if (key == "COOKIE") return known_header::cookie;
      return key == "EXPECT" ? known_header::expect : known_header::other;
    case 10: return key == "CONNECTION" ? known_header::connection : known_header::other;
    case 12: return key == "CONTENT_TYPE" ? known_header::content_type : known_header::other;
    case 14:
      return key == "CONTENT_LENGTH" ? known_header::content_length : known_header::other;
    case 17:
      return key == "TRANSFER_ENCODING" ? known_header::transfer_encoding : known_header::other;
    default: return known_header::other;
  }
}

rejection check_coding(std::string_view list) {
  rejection found;
  bool chunked = false;
  bool other = false;
  for_each_element(list, [&](std::string_view element) {
    if (chunked) {
      found = {400, "Transfer-Encoding has a coding after chunked"};
    } else if (equal_ignoring_case(element, "chunked")) {
      chunked = true;
    } else {
      std::string_view const name = trimmed(element.substr(0, element.find(';')));
      other = true;
      if (equal_ignoring_case(name, "chunked") ||
          !std::all_of(name.begin(), name.end(), grammar::in_token)) {
        found = {400, "Transfer-Encoding is not a list of codings, or chunked has a parameter"};
      }
    }
  });
  if (found) return found;
  if (other) return {501, "Transfer-Encoding has a coding other than chunked"};
  if (!chunked) return {400, "Transfer-Encoding is empty"};
  return {};
}

}  // namespace

void request::clear() {
  arena_.clear(tuning::kept_capacity);
  headers_.clear();
  if (headers_.capacity() > tuning::kept_fields) {
    headers_.shrink_to_fit();
    order_ = {};
  }
  current_ = {};
  minor_version = 1;
  keep_alive = true;
  chunked = expects_continue = false;
  content_length.reset();
  method_ = target_ = path_ = query_ = named_ = host_name_ = host_port_ = {};
  bad_name_ = bad_value_ = false;
}

rejection request::end_line() {
  request_line line;
  rejection const bad = request_line::parse(arena_.view(), line);
  method_ = span_of(line.method);
  if (bad) return bad;
  target_ = span_of(line.target);
  minor_version = line.minor_version;
  path_ = span_of(line.path);
  if (!line.query.empty()) query_ = span_of(line.query);
  if (!line.named.empty()) {
    named_ = span_of(line.named);
    host_name_ = span_of(line.host.host);
    if (!line.host.port.empty()) host_port_ = span_of(line.host.port);
  }
  if (path_.length == 0) {
    // "GET http://host" means the root, "OPTIONS http://host" the server (RFC 9112, 3.2.4).
    bool const all =
        line.method == "OPTIONS" && line.target.back() != '?' && query_.length == 0;
    path_ = {end(), 1};
    arena_.append(all ? '*' : '/');
  }
  return {};
}

void request::append_name(std::string_view bytes) {
  if (current_.key_length == 0) {
    current_ = {};
    current_.key = end();
    arena_.append(key_prefix);
    current_.key_length = key_prefix.size();
    current_.hash = 2166136261u;
  }
  char* out = arena_.prepare(bytes.size());
  std::uint32_t hash = current_.hash;
  for (char const c : bytes) {
    char const upper = grammar::key_of(c);
    if (upper == '\0') bad_name_ = true;
    current_.underscored |= c == '_';
    current_.dashed |= c == '-';
    hash = (hash ^ static_cast<unsigned char>(upper)) * 16777619u;  // FNV-1a
    *out++ = upper;
  }
  arena_.commit(bytes.size());
  current_.hash = hash;
  current_.key_length += static_cast<std::uint32_t>(bytes.size());
}

void request::end_name() {
  if (current_.key_length <= key_prefix.size()) {  // llhttp 8 lets ": value" through.
    bad_name_ = true;
    append_name("-");
  }
  current_.known = identify(key(current_).substr(key_prefix.size()));
  if (current_.known == known_header::content_length ||
      current_.known == known_header::content_type) {
    current_.key += key_prefix.size();  // CGI gives these two no prefix.
    current_.key_length -= key_prefix.size();
  }
  current_.value = end();
}

void request::append_value(std::string_view bytes) {
  bad_value_ |= !grammar::all_in_value(bytes);
  arena_.append(bytes);
}

void request::end_value() {
  std::string_view all(arena_.data() + current_.value, end() - current_.value);
  while (!all.empty() && (all.back() == ' ' || all.back() == '\t')) all.remove_suffix(1);
  current_.value_length = static_cast<std::uint32_t>(all.size());
  headers_.push_back(current_);
  current_ = {};
}

rejection request::finish() {
  if (bad_name_) return {400, "a header name has invalid characters"};
  if (bad_value_) return {400, "a header value has control characters"};
  if (auto bad = check_headers()) return bad;
  return join_repeated();
}

rejection request::check_headers() {
  header* host = nullptr;
  header const* length = nullptr;
  header const* coding = nullptr;
  bool close = false;
  bool stay = false;
  for (header& h : headers_) {
    if (h.known == known_header::other) continue;
    // Content_Length becomes the same key as Content-Length: an application, or a proxy in
    // front, would take one for the other.
    if (h.underscored) {
      return {400, "a header name is a known one with underscores instead of dashes"};
    }
    bool twice = false;
    switch (h.known) {
      case known_header::host: twice = std::exchange(host, &h); break;
      case known_header::content_length: twice = std::exchange(length, &h); break;
      case known_header::transfer_encoding: twice = std::exchange(coding, &h); break;
      case known_header::connection:
        for_each_element(value(h), [&](std::string_view option) {
          close |= equal_ignoring_case(option, "close");
          stay |= equal_ignoring_case(option, "keep-alive");
        });
        break;
      case known_header::expect:
        if (auto bad = check_expectation(value(h))) return bad;
        break;
      default: break;
    }
    if (twice) return {400, "Host, Content-Length or Transfer-Encoding occurs twice"};
  }
  keep_alive = !close && (stay || minor_version >= 1);
  if (auto bad = check_framing(length, coding)) return bad;
  return check_host(host);
}

// A Host header has to be sound even where the target's host replaces it (RFC 9112, 3.2).
rejection request::check_host(header* host) {
  if (host) {
    auto const parsed = authority::parse(value(*host));
    if (!parsed) return {400, "Host is not a name or address with an optional port"};
    if (named_.length == 0) {
      host_name_ = span_of(parsed->host);
      if (!parsed->port.empty()) host_port_ = span_of(parsed->port);
    }
  } else if (minor_version >= 1) {
    return {400, "the Host header is missing"};
  }
  if (host && named_.length != 0) {
    host->value = named_.start;
    host->value_length = named_.length;
  }
  return {};
}

rejection request::check_expectation(std::string_view list) {
  rejection found;
  for_each_element(list, [&](std::string_view expectation) {
    if (!equal_ignoring_case(expectation, "100-continue")) {
      found = {417, "Expect has a value other than 100-continue"};
    } else {
      expects_continue = minor_version >= 1;
    }
  });
  return found;
}

rejection request::check_framing(header const* length, header const* coding) {
  if (coding) {
    if (length) return {400, "the request has both Content-Length and Transfer-Encoding"};
    if (minor_version == 0) return {400, "HTTP/1.0 has no Transfer-Encoding"};
    if (auto bad = check_coding(value(*coding))) return bad;
    chunked = true;
  }
  if (length) {
    std::string_view const digits = value(*length);
    std::uint64_t number = 0;
    auto const [stop, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
    // The sign bit stays free: the number also travels as a signed one.
    if (error != std::errc() || stop != digits.data() + digits.size() || number >> 63) {
      return {400, "Content-Length is not a number"};
    }
    content_length = number;
  }
  return {};
}

rejection request::join_repeated() {
  rejection found;
  bool joined = false;
  auto const join = [&](std::span<std::uint64_t const> fields) {
    // Different names with one key must not be joined. Names with dashes only, or underscores only, are
    // equal if their keys are; repeated names that mix both are rejected without comparing them.
    auto const dashes = [&](std::uint64_t field) { return !headers_[field].underscored; };
    auto const underscores = [&](std::uint64_t field) { return !headers_[field].dashed; };
    if (!std::all_of(fields.begin(), fields.end(), dashes) &&
        !std::all_of(fields.begin(), fields.end(), underscores)) {
      found = {400, "a repeated header name mixes dashes and underscores"};
    }
    header& first = headers_[fields.front()];
    std::string_view const separator = first.known == known_header::cookie ? "; " : ", ";
    std::size_t room = 0;
    for (std::uint64_t const field : fields)
      room += headers_[field].value_length + separator.size();
    // Room first: what is appended lies in the arena, which must not move meanwhile.
    static_cast<void>(arena_.prepare(room));
    std::uint32_t const start = end();
    for (std::uint64_t const field : fields) {
      if (field != fields.front()) arena_.append(separator);
      arena_.append(value(headers_[field]));
      if (field != fields.front()) headers_[field].key_length = 0;
    }
    first.value = start;
    first.value_length = end() - start;
    joined = true;
  };
  for_each_repeated(
      order_, headers_.size(), [&](std::size_t field) { return headers_[field].hash; },
      [&](std::size_t field) { return key(headers_[field]); }, join);
  if (joined) std::erase_if(headers_, [](header const& h) { return h.key_length == 0; });
  return found;
}

}  // namespace kino::server
