// SPDX-License-Identifier: MIT

#include "http1/request_framing.hpp"

#include "http/field_list.hpp"
#include "http/grammar.hpp"

#include <algorithm>
#include <string_view>

namespace kino::server {

namespace {

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

rejection determine_framing(request& of) {
  bool close = false;
  bool stay = false;
  bool upgrade = false;
  bool names_protocol = false;
  field_section const& fields = of.fields();
  for (field_section::field const& f : fields.all()) {
    if (f.known == known_field::connection) {
      for_each_element(fields.value(f), [&](std::string_view option) {
        close |= equal_ignoring_case(option, "close");
        stay |= equal_ignoring_case(option, "keep-alive");
        upgrade |= equal_ignoring_case(option, "upgrade");
      });
    } else if (f.known == known_field::upgrade) {
      names_protocol |= !fields.value(f).empty();
    } else if (f.known == known_field::transfer_encoding) {
      if (of.unknown_length) return {400, "Transfer-Encoding occurs twice"};
      if (of.content_length) return {400, "the request has both Content-Length and Transfer-Encoding"};
      if (of.version == http_version::http_1_0) return {400, "HTTP/1.0 has no Transfer-Encoding"};
      if (auto bad = check_coding(fields.value(f))) return bad;
      of.unknown_length = true;
    }
  }
  of.asks_upgrade = upgrade && names_protocol && of.version == http_version::http_1_1;
  of.keep_alive = !close && (stay || of.version != http_version::http_1_0);
  return {};
}

}  // namespace kino::server
