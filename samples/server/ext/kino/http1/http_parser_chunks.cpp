// SPDX-License-Identifier: MIT
//
// How an http_parser takes a chunked body apart.

#include "http1/http_parser.hpp"

#include <algorithm>
#include <cstdint>

namespace kino::server {

std::size_t http_parser::take_chunk_line(std::string_view bytes) {
  auto const seen = chunk_.scan(bytes);
  chunk_bytes_ += seen.length;
  chunks_ += seen.what == chunk_header::verdict::finished;
  std::uint64_t const needed = 20 * chunks_;
  if (chunk_bytes_ > needed + limit_.max_header_size) {
    refuse({400, "sizes and extensions of chunks beyond max_header_size",
            limit_.max_header_size, chunk_bytes_ - needed});
    return seen.length;
  }
  switch (seen.what) {
    case chunk_header::verdict::more: break;
    case chunk_header::verdict::finished: end_chunk_line(); break;
    case chunk_header::verdict::bad_size:
      refuse({400, "a chunk does not begin with a hexadecimal size"});
      break;
    case chunk_header::verdict::bad_extension:
      refuse({400, "a chunk extension is invalid"});
      break;
    case chunk_header::verdict::bad_line_end:
      refuse({400, "a chunk size ends in a bare carriage return or line feed"});
      break;
  }
  return seen.length;
}

void http_parser::end_chunk_line() {
  chunk_left_ = chunk_.size();
  if (chunk_left_ == 0) return start_fields(phase::trailers);
  if (chunk_left_ > limit_.max_body_size - announced_) {
    std::uint64_t const seen = announced_ + std::min(chunk_left_, UINT64_MAX - announced_);
    refuse(
        {413, "a chunk makes the body larger than max_body_size", limit_.max_body_size, seen});
    return;
  }
  announced_ += chunk_left_;
  carriage_return_ = false;
  phase_ = phase::chunk_data;
}

// Takes the line break behind the data of a chunk.
std::size_t http_parser::take_chunk_end(std::string_view bytes) {
  std::size_t taken = 0;
  while (phase_ == phase::chunk_end && taken < bytes.size()) {
    if (bytes[taken] != (carriage_return_ ? '\n' : '\r')) {
      refuse({400, "a chunk is longer than its size, or has no line break behind it"});
      break;
    }
    ++taken;
    ++chunk_bytes_;
    carriage_return_ = !carriage_return_;
    if (carriage_return_) continue;
    chunk_.start();
    phase_ = phase::chunk_line;
  }
  return taken;
}

}  // namespace kino::server
