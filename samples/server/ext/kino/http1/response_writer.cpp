// SPDX-License-Identifier: MIT

#include "http1/response_writer.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace kino::server {

response_writer::result response_writer::write(std::string_view bytes) {
  if (bytes.empty()) return result::ok;
  switch (how_) {
    case framing::none: return flush();
    case framing::length:
      if (bytes.size() > left_) return result::too_long;
      left_ -= bytes.size();
      [[fallthrough]];
    case framing::closing: {
      std::array pieces{iovec{}, piece(bytes)};
      return send(pieces, pace::gathering);
    }
    case framing::chunked: break;
  }
  char size[18];
  char* const end = std::to_chars(size, size + 16, bytes.size(), 16).ptr;
  end[0] = '\r';
  end[1] = '\n';
  std::array pieces{iovec{}, piece({size, static_cast<std::size_t>(end + 2 - size)}),
                    piece(bytes), piece("\r\n")};
  return send(pieces, pace::gathering);
}

response_writer::result response_writer::flush() {
  if (head_sent_) {
    to().flush();
    return result::ok;
  }
  std::array pieces{iovec{}};
  return send(pieces, pace::at_once);
}

response_writer::result response_writer::finish() {
  if (finished_) return result::ok;
  if (how_ == framing::length && left_ != 0) {
    abort();
    return result::too_short;
  }
  std::array pieces{iovec{}, piece(how_ == framing::chunked ? "0\r\n\r\n" : "")};
  finished_ = true;
  return send(pieces, pace::last);
}

void response_writer::abort() {
  if (finished_) return;
  finished_ = true;
  if (!head_sent_) return;
  to().flush();  // The client still gets the bytes written so far.
  to().cut();
}

// The first of the pieces is left free for the head.
response_writer::result response_writer::send(std::span<iovec> pieces, pace how) {
  answer bytes{pieces, how == pace::last, keep_alive_, how == pace::gathering};
  if (head_sent_) {
    bytes.pieces = pieces.subspan(1);
    switch (to().write(bytes)) {
      case delivery::gone: return result::gone;
      case delivery::above_high_watermark: return result::above_high_watermark;
      default: return result::ok;
    }
  }
  head_sent_ = true;
  pieces[0] = piece(to().head_buffer().view());
  if (reply_.answer(std::move(bytes))) return result::above_high_watermark;
  finished_ = true;
  return result::gone;
}

}  // namespace kino::server
