// SPDX-License-Identifier: MIT

#include "websocket/event_stream.hpp"

#include "http/accept.hpp"
#include "http/field_list.hpp"
#include "http/grammar.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <memory>
#include <string>

namespace kino::server {

namespace {

// Calls visit(line) for each line; there is one more than there are line breaks.
template <class Visit>
void each_line(std::string_view text, Visit visit) {
  for (;;) {
    std::size_t const end = std::min(text.find_first_of("\n\r"), text.size());
    visit(text.substr(0, end));
    if (end == text.size()) return;
    bool const cr = text[end] == '\r';
    text.remove_prefix(end + 1);
    if (cr && text.starts_with('\n')) text.remove_prefix(1);
  }
}

}  // namespace

bool asks_event_stream(request const& asked) {
  if (asked.method() != "GET") return false;
  field_section const& fields = asked.fields();
  bool found = false;
  for (auto const& one : fields.all()) {
    found |= equal_ignoring_case(fields.name(one), "accept") && names_media_type(fields.value(one), "text/event-stream");
  }
  return found;
}

bool is_event_field(std::string_view text) noexcept {
  return text.find_first_of(std::string_view("\n\r\0", 3)) == text.npos;
}

bool is_event_id(std::string_view text) noexcept { return grammar::all_in_value(text) && trimmed(text).size() == text.size(); }

shared_frame encode_event(std::string_view data, event_fields const& fields) {
  std::size_t length = 1;  // of what is appended below: of many events that wait, each byte too much counts
  if (!fields.type.empty()) length += 8 + fields.type.size();
  if (fields.id) length += 5 + fields.id->size();
  if (fields.retry_ms) length += 28;
  each_line(data, [&](std::string_view line) { length += line.size() + 7; });
  auto const made = std::make_shared<std::string>();
  made->reserve(length);
  if (!fields.type.empty()) made->append("event: ").append(fields.type).append("\n");
  if (fields.id) made->append("id: ").append(*fields.id).append("\n");
  if (fields.retry_ms) {
    char digits[20];
    made->append("retry: ").append(digits, std::to_chars(digits, digits + sizeof digits, *fields.retry_ms).ptr).append("\n");
  }
  each_line(data, [&](std::string_view line) { made->append("data: ").append(line).append("\n"); });
  made->append("\n");
  return made;
}

}  // namespace kino::server
