// SPDX-License-Identifier: MIT

#include "observers/log_format.hpp"

#include "http/field_name.hpp"
#include "observers/secrets.hpp"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace kino::server {

namespace {

constexpr std::string_view common = R"($remote_addr - - [$time_local] "$request" $status $response_bytes)";
constexpr std::string_view combined =
    R"($remote_addr - - [$time_local] "$request" $status $response_bytes "$referer" "$user_agent")";
constexpr std::string_view json =
    "$time $remote_addr $remote_port $method $target $protocol $scheme $host $status $end $request_bytes $response_bytes "
    "$receive_time $queue_time $app_time $first_byte_time $total_time $request_id $referer $user_agent";

constexpr bool in_field_name(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

}  // namespace

log_format::log_format(std::string_view text, bool color) : color_(color) {
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    throw std::invalid_argument("the access log format has a control character; a line is one line");
  }
  if (text == "common") {
    parse_text(common);
  } else if (text == "combined") {
    parse_text(combined);
  } else if (text == "json" || text.starts_with("json ")) {
    parse_json(text.substr(4));
  } else if (text.find('$') != text.npos) {
    parse_text(text);
  } else {
    throw std::invalid_argument("the access log format \"" + std::string(text) +
                                "\" is none of common, combined and json, and has no fields; fields are " + log_field_names());
  }
}

void log_format::parse_text(std::string_view text) {
  std::string before;
  while (!text.empty()) {
    std::size_t const dollar = std::min(text.find('$'), text.size());
    before += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (text.empty()) break;
    text.remove_prefix(1);
    if (text.starts_with('$')) {
      before += '$';
      text.remove_prefix(1);
      continue;
    }
    bool const braces = text.starts_with('{');
    if (braces) text.remove_prefix(1);
    std::size_t const end = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), in_field_name) - text.begin());
    std::string_view const name = text.substr(0, end);
    text.remove_prefix(end);
    if (name.empty() || (braces && !text.starts_with('}'))) {
      throw std::invalid_argument("the access log format has a \"$\" without the name of a field; write \"$$\" for a dollar sign");
    }
    if (braces) text.remove_prefix(1);
    add(std::exchange(before, {}), name);
  }
  pieces_.push_back({std::move(before)});
}

void log_format::parse_json(std::string_view further) {
  json_ = true;
  std::string const all = std::string(json) + std::string(further);
  for (std::string_view rest = all; !rest.empty();) {
    if (rest.starts_with(' ')) {
      rest.remove_prefix(1);
      continue;
    }
    std::string_view const word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(word.size());
    std::string_view const name = word.substr(1);
    if (!word.starts_with('$') || name.empty() || !std::all_of(name.begin(), name.end(), in_field_name)) {
      throw std::invalid_argument("the access log format has \"" + std::string(word) +
                                  "\" behind \"json\"; write fields there, for example \"json $http_x_forwarded_for\"");
    }
    add((pieces_.empty() ? "{\"" : ",\"") + std::string(name) + "\":", name);
  }
  pieces_.push_back({"}"});
}

void log_format::add(std::string before, std::string_view name) {
  piece& made = pieces_.emplace_back(piece{std::move(before), find_log_field(name), std::string(header_of(name))});
  if (made.what == log_field::none) {
    throw std::invalid_argument("the access log format has the unknown field $" + std::string(name) + "; fields are " +
                                log_field_names());
  }
  if (made.what == log_field::header && is_secret_header(made.header)) {
    throw std::invalid_argument("the access log format has $" + std::string(name) +
                                ", which carries credentials; these are never logged");
  }
  made.hash = folded_name(made.header).hash();
}

}  // namespace kino::server
