// SPDX-License-Identifier: MIT

#include "http/response.hpp"

#include "base/options.hpp"
#include "base/parse_number.hpp"
#include "http/field_list.hpp"
#include "http/grammar.hpp"
#include "http/trailers.hpp"

#include <algorithm>
#include <utility>

namespace kino::server {

namespace {

response_head::problem check(std::string_view name, std::string_view value) {
  using problem = response_head::problem;
  if (name.empty() || !std::all_of(name.begin(), name.end(), grammar::in_token)) return problem::bad_name;
  if (!grammar::all_in_value(value)) return problem::bad_value;
  if (name.size() > response_fields::longest) return problem::bad_name;
  if (value.size() > response_fields::longest) return problem::bad_value;
  return problem::none;
}

}  // namespace

void response_head::clear() {
  fields_.clear(tuning::kept_capacity);
  status_ = {};
  length_.reset();
  wants_close_ = has_date_ = has_server_ = has_upgrade_ = has_trailer_ = false;
}

response_head::problem response_head::start(long status) {
  clear();
  if (status < 100 || status > 999) return problem::bad_status;
  status_entry const entry = status_of(static_cast<std::uint16_t>(status));
  if (entry.content == content_rule::interim || entry.content == content_rule::other_protocol) return problem::interim_status;
  status_ = entry;
  return problem::none;
}

response_head::problem response_head::start_interim(int status) {
  clear();
  if (status < 100 || status > 199 || status == 101) return problem::bad_status;
  status_ = status_of(static_cast<std::uint16_t>(status));
  return problem::none;
}

response_head::problem response_head::start_upgrade(std::string_view protocol) {
  clear();
  status_ = status_of(101);
  problem const bad = add("upgrade", protocol);
  return bad == problem::none && protocol.empty() ? problem::bad_value : bad;
}

response_head::treatment response_head::note(std::string_view name, std::string_view value) {
  switch (name.size()) {
    case 4: has_date_ |= equal_ignoring_case(name, "date"); break;
    case 6: has_server_ |= equal_ignoring_case(name, "server"); break;
    case 7:
      if (has_upgrade_ && upgrades() && equal_ignoring_case(name, "upgrade")) return treatment::drop;
      has_upgrade_ |= equal_ignoring_case(name, "upgrade");
      has_trailer_ |= equal_ignoring_case(name, "trailer");
      break;
    case 10:
      if (equal_ignoring_case(name, "connection")) {
        for_each_element(value, [this](std::string_view option) {
          wants_close_ |= equal_ignoring_case(option, "close");
        });
        return treatment::drop;
      }
      if (equal_ignoring_case(name, "keep-alive")) return treatment::drop;
      break;
    case 14:
      if (equal_ignoring_case(name, "content-length")) return treatment::length;
      break;
    case 16:
      if (equal_ignoring_case(name, "proxy-connection")) return treatment::drop;
      break;
    case 17:
      if (equal_ignoring_case(name, "transfer-encoding")) return treatment::drop;
      break;
    default: break;
  }
  return treatment::keep;
}

response_head::problem response_head::add(std::string_view name, std::string_view value) {
  if (problem const bad = check(name, value); bad != problem::none) return bad;
  switch (note(name, value)) {
    case treatment::drop: return problem::none;
    case treatment::length: {
      auto const number = parse_number<std::uint64_t>(value);
      return number && set_length(*number) == problem::none ? problem::none : problem::bad_length;
    }
    case treatment::keep: break;
  }
  fields_.append(name, value);
  return problem::none;
}

response_head::problem response_head::set_length(std::uint64_t length) {
  if (length_.value_or(length) != length) return problem::other_length;
  length_ = length;
  return problem::none;
}

response_head::problem response_trailers::add(std::string_view name, std::string_view value) {
  problem const bad = check(name, value);
  if (bad == problem::none && may_be_trailer(name)) fields_.append(name, value);
  return bad;
}

brief_response::brief_response(int status, std::string_view sentence) {
  static_cast<void>(head_.start(status));
  static_cast<void>(head_.add("content-type", "text/plain"));
  if (status == 503) static_cast<void>(head_.add("retry-after", "1"));
  static_cast<void>(head_.add("connection", "close"));
  if (sentence.empty()) sentence = head_.reason();
  body_ = {piece(sentence), piece("\n")};
  static_cast<void>(head_.set_length(sentence.size() + 1));
}

}  // namespace kino::server
