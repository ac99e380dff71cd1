// SPDX-License-Identifier: MIT

#include "http/response_writer.hpp"

#include "base/file_range.hpp"

namespace kino::server {

response_writer::response_writer(exchange::reply const& to)
    : reply_(to),
      bodiless_(exchange::of(to).head().head_only() || exchange::of(to).response().bodiless()) {
  if (!bodiless_) left_ = exchange::of(to).response().content_length();
}

response_writer::result response_writer::write(std::string_view bytes) {
  if (bytes.empty()) return result::ok;
  if (bodiless_) return flush();
  if (left_) {
    if (bytes.size() > *left_) return result::too_long;
    *left_ -= bytes.size();
  }
  iovec const one = piece(bytes);
  return send({.data = {&one, 1}, .gather = true});
}

response_writer::result response_writer::flush() {
  if (!head_sent_) return send({});
  to().flush();
  return result::ok;
}

response_writer::result response_writer::finish(response_trailers const* trailers) {
  if (finished_) return result::ok;
  if (left_.value_or(0) != 0) {
    abort();
    return result::too_short;
  }
  finished_ = true;
  return send({.end = true, .trailers = trailers});
}

response_writer::result response_writer::finish(file_range&& rest) {
  if (bodiless_) return finish();
  if (rest.size() > left_.value_or(0)) return result::too_long;
  *left_ -= rest.size();
  if (*left_ != 0) return finish();
  finished_ = true;
  return send({.end = true, .file = &rest});
}

void response_writer::abort() {
  if (finished_) return;
  finished_ = true;
  if (!head_sent_) return;
  to().flush();  // What has been written belongs to the client all the same.
  to().cut();
}

response_writer::result response_writer::send(response_part part) {
  if (head_sent_) {
    switch (to().send(part)) {
      case delivery::gone: return result::gone;
      case delivery::above_high_watermark: return result::above_high_watermark;
      default: return result::ok;
    }
  }
  head_sent_ = true;
  part.head = &to().response();
  if (reply_.answer(std::move(part))) return result::above_high_watermark;
  finished_ = true;
  return result::gone;
}

}  // namespace kino::server
