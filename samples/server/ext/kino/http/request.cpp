// SPDX-License-Identifier: MIT

#include "http/request.hpp"

#include "base/options.hpp"
#include "base/parse_number.hpp"
#include "http/field_list.hpp"
#include "http/trailers.hpp"

#include <utility>

namespace kino::server {

void request::clear() {
  fields_.clear(tuning::kept_capacity);
  trailers_.clear(0);
  version = http_version::http_1_1;
  keep_alive = true;
  unknown_length = expects_continue = asks_upgrade = extended_connect = accepts_trailers = false;
  content_length.reset();
  method_ = target_ = path_ = query_ = host_ = host_name_ = host_port_ = {};
}

void request::set_target(request_target const& target) {
  target_ = span_of(target.text);
  path_ = span_of(target.path);
  query_ = span_of(target.query);
  if (!target.named.empty()) set_host(target.named, target.host);
  if (path_.length == 0) {
    // "GET http://host" means the root, "OPTIONS http://host" the server (RFC 9112, 3.2.4).
    bool const all = method() == "OPTIONS" && target.text.back() != '?' && query_.length == 0;
    path_ = {static_cast<std::uint32_t>(text().size()), 1};
    append_text(all ? "*" : "/");
  }
}

void request::set_host(std::string_view text, authority const& parsed) {
  if (host_.length != 0) return;
  host_ = span_of(text);
  host_name_ = span_of(parsed.host);
  host_port_ = span_of(parsed.port);
}

rejection request::finish() {
  if (auto bad = fields_.finish()) return bad;
  return check_fields();
}

rejection request::finish_trailers() {
  trailers_.remove_if([](std::string_view name) { return !name.empty() && !may_be_trailer(name); });
  return trailers_.finish();
}

rejection request::check_fields() {
  field_section::field const* host = nullptr;
  for (field_section::field const& f : fields_.all()) {
    if (f.known == known_field::other) continue;
    // An application that gets CGI keys, or a proxy in front, would take Content_Length for Content-Length.
    if (f.underscored) return {400, "a field name is a known one with underscores instead of dashes"};
    switch (f.known) {
      case known_field::host:
        if (std::exchange(host, &f)) return {400, "Host occurs twice"};
        break;
      case known_field::content_length:
        if (auto bad = check_length(f)) return bad;
        break;
      case known_field::expect:
        if (auto bad = check_expectations(fields_.value(f))) return bad;
        break;
      case known_field::te:
        for_each_element(fields_.value(f), [this](std::string_view coding) {
          accepts_trailers |= equal_ignoring_case(coding, "trailers");
        });
        break;
      default: break;
    }
  }
  return check_host(host);
}

// A Host field has to be sound even where the target's host replaces it (RFC 9112, 3.2).
rejection request::check_host(field_section::field const* field) {
  if (!field) {
    bool const needed = version == http_version::http_1_1 || (version == http_version::http_2 && host_.length == 0);
    return needed ? rejection{400, "the Host field is missing"} : rejection{};
  }
  std::string_view const value = fields_.value(*field);
  auto const parsed = authority::parse(value);
  if (!parsed) return {400, "Host is not a name or address with an optional port"};
  if (version == http_version::http_2 && host_.length != 0 && !equal_ignoring_case(value, host())) {
    return {400, "Host contradicts :authority"};
  }
  set_host(value, *parsed);
  return {};
}

rejection request::check_expectations(std::string_view list) {
  rejection found;
  for_each_element(list, [&](std::string_view expectation) {
    if (!equal_ignoring_case(expectation, "100-continue")) {
      found = {417, "Expect has a value other than 100-continue"};
    } else {
      expects_continue = version != http_version::http_1_0;
    }
  });
  return found;
}

rejection request::check_length(field_section::field const& field) {
  if (content_length) return {400, "Content-Length occurs twice"};
  std::string_view const digits = fields_.value(field);
  auto const number = parse_number<std::uint64_t>(digits);
  // The sign bit stays free: the number also travels as a signed one.
  if (!number || *number >> 63) return {400, "Content-Length is not a number"};
  content_length = *number;
  return {};
}

}  // namespace kino::server
