// SPDX-License-Identifier: MIT

#include "answer_writer.hpp"

#include <array>
#include <charconv>

namespace kino::server {

answer_writer::result answer_writer::write(std::string_view bytes) {
  if (bytes.empty()) return result::ok;
  switch (how_) {
    case framing::none: return flush();
    case framing::length:
      if (bytes.size() > left_) return result::too_long;
      left_ -= bytes.size();
      [[fallthrough]];
    case framing::closing: {
      std::array pieces{iovec{}, piece(bytes)};
      return send(pieces, false);
    }
    case framing::chunked: break;
  }
  char size[18];
  char* const end = std::to_chars(size, size + 16, bytes.size(), 16).ptr;
  end[0] = '\r';
  end[1] = '\n';
  std::array pieces{iovec{}, piece({size, static_cast<std::size_t>(end + 2 - size)}),
                    piece(bytes), piece("\r\n")};
  return send(pieces, false);
}

answer_writer::result answer_writer::flush() {
  if (head_sent_) return result::ok;
  std::array pieces{iovec{}};
  return send(pieces, false);
}

answer_writer::result answer_writer::finish() {
  if (finished_) return result::ok;
  if (how_ == framing::length && left_ != 0) {
    abort();
    return result::too_short;
  }
  std::array pieces{iovec{}, piece(how_ == framing::chunked ? "0\r\n\r\n" : "")};
  finished_ = true;
  return send(pieces, true);
}

void answer_writer::abort() {
  if (finished_) return;
  finished_ = true;
  if (head_sent_) to().cut();
}

// The first of the pieces is left free for the head.
answer_writer::result answer_writer::send(std::span<iovec> pieces, bool last) {
  if (head_sent_) return to().write(pieces.subspan(1), last, keep_alive_) ? result::ok : result::gone;
  head_sent_ = true;
  pieces[0] = piece(to().draft().view());
  bool const won = reply_.answer({pieces, last, keep_alive_});
  if (!won) finished_ = true;
  return won ? result::ok : result::gone;
}

}  // namespace kino::server
