// SPDX-License-Identifier: MIT
//
// A response as its handler describes it: status and fields, then its body in parts.

#pragma once

#include "http/response_fields.hpp"
#include "http/status.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <sys/uio.h>

namespace kino::server {

class file_range;
class upgrade;

/// A response_head is the status and the header fields of a response, independent of the version of HTTP.
///
/// Names are tokens and values have no control characters; anything else is not added. Names and values are kept as
/// given, in the order given, except for fields that are about the connection or the framing, which every version
/// writes in its own way:
///
///     connection                            only "close" is noted; other options are dropped
///     content-length                        noted, see `content_length`
///     keep-alive, proxy-connection,
///     transfer-encoding                     dropped
///     trailer                               kept and noted: it is sent if trailers can be
///     upgrade                               kept and noted: 426 needs it, and HTTP/1 lists it in `connection`;
///                                           dropped after `start_upgrade`, which has set it
///
/// All fields are in one buffer, whose memory the next response reuses.
///
/// Threads: one at a time.  Throws: std::bad_alloc, from all that adds; the head then lacks the field.
class response_head {
public:
  enum class problem { none, bad_status, interim_status, bad_name, bad_value, bad_length, other_length };

  /// Starts a new description. The status of a response is one of 200 to 999.
  [[nodiscard]] problem start(long status);
  /// Starts the description of an interim response, with a status of 100 to 199 except 101.
  [[nodiscard]] problem start_interim(int status);
  /// Starts the description of a response with status 101, and names what the connection will carry: a token, perhaps with a
  /// version, as in the request's field. See upgrade.
  [[nodiscard]] problem start_upgrade(std::string_view protocol);
  /// Adds a field.
  [[nodiscard]] problem add(std::string_view name, std::string_view value);
  /// Sets the length of the body, which must not contradict a content-length that was added.
  [[nodiscard]] problem set_length(std::uint64_t length);
  /// Forgets everything.
  void clear();

  [[nodiscard]] std::uint16_t status() const { return status_.code; }
  /// The registered reason phrase of the status; may be empty.
  [[nodiscard]] std::string_view reason() const { return status_.reason; }
  [[nodiscard]] content_rule content() const { return status_.content; }
  /// Whether a response with this status has no body, whatever the request was.
  [[nodiscard]] bool bodiless() const { return status_.content != content_rule::usual && !upgrades(); }
  /// Whether the connection carries something else after this head.
  [[nodiscard]] bool upgrades() const { return status_.content == content_rule::other_protocol; }
  /// The length of the body, if known.
  [[nodiscard]] std::optional<std::uint64_t> content_length() const { return length_; }
  /// Whether the handler wants the connection to end after this response.
  [[nodiscard]] bool wants_close() const { return wants_close_; }
  [[nodiscard]] bool has_date() const { return has_date_; }
  [[nodiscard]] bool has_server() const { return has_server_; }
  [[nodiscard]] bool has_upgrade() const { return has_upgrade_; }
  [[nodiscard]] bool has_trailer() const { return has_trailer_; }

  [[nodiscard]] response_fields const& fields() const { return fields_; }

private:
  // What to do with a field, see above.
  enum class treatment { keep, drop, length };
  treatment note(std::string_view name, std::string_view value);

  response_fields fields_;
  status_entry status_{};
  std::optional<std::uint64_t> length_;
  bool wants_close_ = false;
  bool has_date_ = false;
  bool has_server_ = false;
  bool has_upgrade_ = false;
  bool has_trailer_ = false;
};

/// The response_trailers are the fields behind the body of a response. Those that may not be trailers (see may_be_trailer)
/// are dropped.
///
/// Threads: one at a time.  Throws: std::bad_alloc, from `add`.
class response_trailers {
public:
  using problem = response_head::problem;

  /// Adds a field; valid are the same names and values as in a head.
  [[nodiscard]] problem add(std::string_view name, std::string_view value);
  void clear() { fields_.clear(0); }
  [[nodiscard]] response_fields const& fields() const { return fields_; }

private:
  response_fields fields_;
};

/// One piece of a body. The bytes are not changed.
inline iovec piece(std::string_view bytes) { return {const_cast<char*>(bytes.data()), bytes.size()}; }
/// The number of bytes of all pieces.
[[nodiscard]] inline std::size_t length_of(std::span<iovec const> pieces) {
  std::size_t total = 0;
  for (iovec const& one : pieces) total += one.iov_len;
  return total;
}

/// A response_part is one step of a response: its head, pieces of its body, its end, or several of these at once.
///
/// The first part of a response has the head. A first part without one ends the connection, once the responses before
/// it have been sent, and sends nothing; with an `upgrade`, it takes the connection over.
///
/// The pieces are sent or copied before the call that takes the part returns, so they may be in Ruby Strings. A
/// response without a body (to HEAD, or because of its status) drops them.
struct response_part {
  response_head const* head = nullptr;
  std::span<iovec const> data = {};
  bool end = false;     ///< Nothing follows: the response is complete.
  /// Small pieces may wait a moment for what follows, the end for other responses of the connection; see exchange::flush.
  bool gather = false;
  /// With `end`: the rest of the body, or null. It is moved from when it is sent; only where exchange::sends_files.
  file_range* file = nullptr;
  /// With `end`: the trailers, or null. They are dropped if the version of HTTP or the client does not take any.
  response_trailers const* trailers = nullptr;
  /// With `end`, in the first part: what the connection becomes. Valid until the call that takes the part returns.
  std::shared_ptr<kino::server::upgrade> const* upgrade = nullptr;
};

/// A brief_response explains an error: a status with its reason as the body, or with a sentence. The connection ends
/// after it.
///
/// Lifetime: not longer than that of the sentence.
/// Throws: std::bad_alloc, from the constructor.
class brief_response {
public:
  explicit brief_response(int status, std::string_view sentence = {});
  brief_response(brief_response const&) = delete;

  [[nodiscard]] response_head const& head() const { return head_; }
  [[nodiscard]] std::span<iovec const> body() const { return body_; }
  /// The whole of it; refers to this object.
  [[nodiscard]] response_part whole() const { return {&head_, body_, true}; }

private:
  response_head head_;
  std::array<iovec, 2> body_;
};

}  // namespace kino::server
