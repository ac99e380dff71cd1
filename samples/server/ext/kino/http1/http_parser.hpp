// SPDX-License-Identifier: MIT
//
// http_parser: parses HTTP/1 requests; llhttp parses their fields.

#pragma once

#include "base/options.hpp"
#include "http/request.hpp"
#include "http1/chunk_header.hpp"
#include "http1/head_validator.hpp"
#include "http1/request_line_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <llhttp.h>
#include <string_view>

namespace kino::server {

/// An http_parser turns the bytes of one connection into one request after the other.
///
/// It buffers no bytes: the head is stored in the request's arena, and body bytes are passed to the
/// sink immediately. It either produces a well-formed request, whose end every other HTTP
/// implementation finds at the same position, or a rejection.
///
/// llhttp parses the fields of heads and trailers, all of them as fields without a meaning: what a
/// request says of its body is decided once, from the parsed fields. llhttp's versions differ in the methods that
/// they know, and in the chunk extensions and the whitespace around Content-Length that they accept. It
/// therefore sees a constant request line, and no body.
///
/// All parts of a request except the body are limited: the head and the trailers together in bytes
/// (max_header_size), the fields of each in number (max_header_fields), and the overhead of chunks
/// beyond 20 bytes each in bytes (max_header_size). 20 bytes are enough for a size of 16 digits and
/// two line breaks. The sizes of chunks may add up to max_body_size.
///
/// A body of known length is only counted: the code that reads it from the socket into its final
/// buffer reports this with `skip_body`.
///
/// Threads: one at a time; it belongs to its connection.
class http_parser {
public:
  /// What happens while a request is being parsed; called from `parse`.
  class sink {
  public:
    /// The head is complete and valid. A rejection ends the parsing.
    [[nodiscard]] virtual rejection on_head() = 0;
    /// The next bytes of the body. A rejection ends the parsing.
    [[nodiscard]] virtual rejection on_body(std::string_view bytes) = 0;

  protected:
    ~sink() = default;
  };

  enum class state { incomplete, complete, rejected };
  struct result {
    state what;
    std::size_t consumed;
  };

  http_parser(sink& events, limits const& limit);

  /// Begins the next request, into `fresh`.
  void start(request& fresh);

  /// Parses `bytes` up to the end of the request or of the bytes.
  [[nodiscard]] result parse(std::string_view bytes);

  /// Number of missing bytes of a body of known length; 0 for any other body.
  [[nodiscard]] std::uint64_t body_left() const {
    return phase_ == phase::counted_body ? body_left_ : 0;
  }
  /// Counts `length` of them, which did not pass through `parse`; returns whether the body is complete.
  [[nodiscard]] bool skip_body(std::size_t length) { return (body_left_ -= length) == 0; }

  /// Whether a byte of this request has been seen.
  [[nodiscard]] bool started() const { return head_bytes_ != 0; }
  /// Whether the head is still incomplete.
  [[nodiscard]] bool in_head() const {
    return phase_ == phase::line || phase_ == phase::fields;
  }
  /// The reason, after `rejected`.
  [[nodiscard]] rejection const& why() const { return why_; }

private:
  enum class phase {
    line,
    fields,
    counted_body,
    chunk_line,
    chunk_data,
    chunk_end,
    trailers,
    done
  };
  friend struct http_parser_callbacks;

  void refuse(rejection const& why) { why_ = why; }
  std::size_t take(std::string_view bytes);
  std::size_t take_line(std::string_view bytes);
  void start_fields(phase of_head_or_body);
  std::size_t take_fields(std::string_view bytes);
  void end_head();
  bool fields_allowed(head_validator::verdict what);
  bool head_too_large();
  std::size_t take_body(std::string_view bytes, std::uint64_t& left, phase next);
  std::size_t take_chunk_line(std::string_view bytes);
  void end_chunk_line();
  std::size_t take_chunk_end(std::string_view bytes);

  sink& events_;
  limits const& limit_;
  llhttp_t parser_{};
  request_line_reader line_;
  head_validator lines_;
  chunk_header chunk_;
  request* request_ = nullptr;
  std::size_t head_bytes_ = 0;     // empty lines, head and trailers
  bool carriage_return_ = false;   // of the line break behind a chunk's data
  std::uint64_t chunk_bytes_ = 0;  // sizes, extensions and line breaks
  std::uint64_t chunks_ = 0;
  std::uint64_t announced_ = 0;   // sum of the chunks' sizes, at most max_body_size
  std::uint64_t chunk_left_ = 0;  // of the chunk's data
  std::uint64_t body_left_ = 0;   // of a body of known length
  phase phase_ = phase::line;
  bool fields_ended_ = false;
  rejection why_;
};

}  // namespace kino::server
