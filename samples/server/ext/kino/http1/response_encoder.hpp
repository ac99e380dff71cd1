// SPDX-License-Identifier: MIT
//
// Encodes a response as HTTP/1.

#pragma once

#include "http/exchange.hpp"
#include "http/response_length.hpp"
#include "http1/response_bytes.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace kino::server {

/// How the client learns where the body of a response ends (RFC 9112, 6.3).
enum class framing : std::uint8_t {
  none,     ///< There is no body: HEAD, 204, 205, 304; or no response has begun.
  length,   ///< Content-Length.
  chunked,  ///< Chunks, the last one empty.
  closing,  ///< The end of the connection (HTTP/1.0, and what another protocol sends: see upgrade).
};

/// A response_encoder turns the parts of one response into bytes of HTTP/1: status line, fields, date, server, framing
/// and connection. The head of an upgrade has no server and no date, which are about content.
///
/// What it has to remember from one part to the next is in its `state`, so an encoder is made for each part. A
/// complete response in one part has a Content-Length, which need not be known before.
///
/// Trailers, and a field "trailer" that announces them, are sent if the body is chunked and the client has said
/// `TE: trailers`; otherwise they are dropped. A response in one part that has trailers is chunked.
///
/// Threads: one at a time for each exchange: the one that sends the response.
/// Throws:  std::bad_alloc, from `encode`.
class response_encoder {
public:
  /// The progress of one response.
  struct state {
    byte_buffer bytes;  // head and framing of one part
    response_length length;
    framing how{};
    bool begun = false;
    bool keep_alive = false;  // the connection may be kept after this response

    /// Prepares for the next response; keeps memory for it.
    void clear() {
      bytes.clear(tuning::kept_capacity);
      begun = false;
    }
  };

  /// For a response to `asked`.
  response_encoder(request const& asked, state& progress) : asked_(asked), state_(progress) {}

  /// Decides the framing of the response that begins with `first`. Returns whether the connection may be kept after
  /// it; if so, `keep_alive` says whether it will be.
  [[nodiscard]] bool begin(response_part const& first);
  void keep_alive() { state_.keep_alive = true; }

  /// Encodes a part, the first one after `begin`. The result refers to the part and to the exchange, and is valid until
  /// the next call. None if the body is longer or shorter than announced: then the connection must be cut.
  [[nodiscard]] std::optional<response_bytes> encode(response_part const& part);

  /// Appends an interim response to `out`.
  static void encode_interim(byte_buffer& out, response_head const& what);
  /// Appends a whole response, after which the connection ends, to `out`.
  static void encode_brief(byte_buffer& out, brief_response const& what);

private:
  void write_head(response_head const& head);
  [[nodiscard]] bool takes_trailers() const;
  [[nodiscard]] bool sends_trailers(response_part const& part) const;
  [[nodiscard]] response_bytes encode_chunk(response_part const& part, std::size_t length, response_bytes bytes);

  request const& asked_;
  state& state_;
};

}  // namespace kino::server
