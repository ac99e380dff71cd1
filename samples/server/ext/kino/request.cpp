// SPDX-License-Identifier: MIT

#include "request.hpp"

#include "characters.hpp"
#include "options.hpp"

#include <algorithm>
#include <charconv>

namespace kino::server {

namespace {

constexpr std::string_view key_prefix = "HTTP_";

known_header identify(std::string_view key) {
  switch (key.size()) {
    case 4: return key == "HOST" ? known_header::host : known_header::other;
    case 6:
      if (key == "COOKIE") return known_header::cookie;
      return key == "EXPECT" ? known_header::expect : known_header::other;
    case 10: return key == "CONNECTION" ? known_header::connection : known_header::other;
    case 12: return key == "CONTENT_TYPE" ? known_header::content_type : known_header::other;
    case 14: return key == "CONTENT_LENGTH" ? known_header::content_length : known_header::other;
    case 17:
      return key == "TRANSFER_ENCODING" ? known_header::transfer_encoding : known_header::other;
    default: return known_header::other;
  }
}

bool equal_ignoring_case(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() &&
         std::equal(a.begin(), a.end(), lower.begin(),
                    [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x + 32 : x) == y; });
}

}  // namespace

void request::clear() {
  arena_.clear(tuning::kept_capacity);
  headers_.clear();
  current_ = {};
  method = {};
  minor_version = 1;
  keep_alive = true;
  chunked = expects_continue = false;
  content_length.reset();
  target_ = path_ = query_ = host_name_ = host_port_ = {};
  target_names_host_ = bad_name_ = bad_value_ = underscored_ = false;
}

void request::append_target(std::string_view bytes) {
  if (target_.length == 0) target_.start = end();
  arena_.append(bytes);
  target_.length += static_cast<std::uint32_t>(bytes.size());
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
    char const upper = characters::key_of(c);
    if (upper == '\0') bad_name_ = true;
    if (c == '_') current_.underscored = underscored_ = true;
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
  bad_value_ |= !characters::all_in_value(bytes);
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
  if (bad_name_) return {400, "a header name has characters that are not allowed in one"};
  if (bad_value_) return {400, "a header value has control characters"};
  if (auto bad = split_target()) return bad;
  if (auto bad = check_headers()) return bad;
  join_repeated();
  return {};
}

rejection request::check_headers() {
  header const* host = nullptr;
  header const* length = nullptr;
  header const* coding = nullptr;
  for (header const& h : headers_) {
    // Content_Length becomes the same key as Content-Length: an application, or a proxy in
    // front, would take one for the other.
    if (h.underscored) {
      if (h.known != known_header::other) {
        return {400, "a header name is that of a known one with underscores for dashes"};
      }
      for (header const& other : headers_) {
        if (other.hash == h.hash && !other.underscored && key(other) == key(h)) {
          return {400, "two header names differ only in dashes and underscores"};
        }
      }
    }
    header const** seen = nullptr;
    switch (h.known) {
      case known_header::host: seen = &host; break;
      case known_header::content_length: seen = &length; break;
      case known_header::transfer_encoding: seen = &coding; break;
      case known_header::expect:
        if (!equal_ignoring_case(value(h), "100-continue")) {
          return {417, "Expect asks for something else than 100-continue"};
        }
        expects_continue = minor_version >= 1;
        break;
      default: break;
    }
    if (!seen) continue;
    if (*seen) return {400, "Host, Content-Length or Transfer-Encoding comes twice"};
    *seen = &h;
  }
  if (!host && minor_version >= 1) return {400, "there is no Host header"};
  if (host && !target_names_host_) {
    if (auto bad = split_host({host->value, host->value_length})) return bad;
  }
  return check_framing(length, coding);
}

rejection request::check_framing(header const* length, header const* coding) {
  if (coding) {
    if (length) return {400, "Content-Length and Transfer-Encoding come together"};
    if (minor_version == 0) return {400, "HTTP/1.0 has no Transfer-Encoding"};
    if (!equal_ignoring_case(value(*coding), "chunked")) {
      return {400, "Transfer-Encoding is something else than chunked"};
    }
    chunked = true;
  }
  if (length) {
    std::string_view const digits = value(*length);
    std::uint64_t number = 0;
    auto const [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    // The sign bit stays free: the number also travels as a signed one.
    if (error != std::errc() || stop != digits.data() + digits.size() || number >> 63) {
      return {400, "Content-Length is not a number"};
    }
    content_length = number;
  }
  return {};
}

rejection request::split_target() {
  std::string_view all = target();
  if (all.find('#') != all.npos) return {400, "the request target has a fragment"};
  std::uint32_t start = target_.start;
  if (!all.empty() && all.front() != '/' && all != "*") {
    std::size_t const scheme = all.find("://");
    if (scheme == all.npos) return {400, "the request target is neither a path nor a URL"};
    std::size_t const authority = scheme + 3;
    std::size_t const rest = std::min(all.find_first_of("/?", authority), all.size());
    span const named{start + static_cast<std::uint32_t>(authority),
                     static_cast<std::uint32_t>(rest - authority)};
    if (named.length == 0) return {400, "the request target is a URL without a host"};
    if (auto bad = split_host(named)) return bad;
    target_names_host_ = true;
    start += static_cast<std::uint32_t>(rest);
    all.remove_prefix(rest);
  }
  std::size_t const question = std::min(all.find('?'), all.size());
  path_ = {start, static_cast<std::uint32_t>(question)};
  if (question < all.size()) {
    query_ = {start + static_cast<std::uint32_t>(question) + 1,
              static_cast<std::uint32_t>(all.size() - question - 1)};
  }
  if (path_.length == 0) {  // "GET http://host" and "GET http://host?q" mean the root.
    path_ = {end(), 1};
    arena_.append('/');
  }
  return {};
}

rejection request::split_host(span authority) {
  static constexpr rejection bad{400, "the host is not a name or address with an optional port"};
  std::string_view const all = text(authority);
  std::size_t name_end = 0;
  if (!all.empty() && all.front() == '[') {
    name_end = all.find(']');
    if (name_end == all.npos) return bad;
    ++name_end;
    for (char const c : all.substr(1, name_end - 2)) {
      if (!characters::in_address(c)) return bad;
    }
  } else {
    name_end = std::min(all.find(':'), all.size());
    for (char const c : all.substr(0, name_end)) {
      if (!characters::in_host(c)) return bad;
    }
  }
  host_name_ = {authority.start, static_cast<std::uint32_t>(name_end)};
  if (name_end == all.size()) return {};
  if (all[name_end] != ':') return bad;
  std::string_view const port = all.substr(name_end + 1);
  if (port.size() > 5 ||
      !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return bad;
  }
  host_port_ = {authority.start + static_cast<std::uint32_t>(name_end) + 1,
                static_cast<std::uint32_t>(port.size())};
  return {};
}

void request::join_repeated() {
  for (std::size_t i = 1; i < headers_.size(); ++i) {
    header const later = headers_[i];
    auto const first = std::find_if(headers_.begin(), headers_.begin() + i, [&](header const& h) {
      return h.hash == later.hash && key(h) == key(later);
    });
    if (first == headers_.begin() + i) continue;
    std::string_view const separator = later.known == known_header::cookie ? "; " : ", ";
    std::uint32_t const joined = end();
    // Room first: appending a view of the arena itself must not move it underneath.
    static_cast<void>(
        arena_.prepare(first->value_length + separator.size() + later.value_length));
    arena_.append(value(*first));
    arena_.append(separator);
    arena_.append(value(later));
    first->value = joined;
    first->value_length = end() - joined;
    headers_.erase(headers_.begin() + i);
    --i;
  }
}

}  // namespace kino::server
