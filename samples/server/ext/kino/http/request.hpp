// SPDX-License-Identifier: MIT
//
// The head of one request, in one piece of memory that the next request reuses.

#pragma once

#include "http/authority.hpp"
#include "http/field_section.hpp"
#include "http/http_version.hpp"
#include "http/rejection.hpp"
#include "http/request_target.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace kino::server {

/// A request is a request in any version of HTTP without its body: method, target and fields, as views into one buffer,
/// valid until `clear`, and the trailers.
///
/// Any head of n bytes takes at most n + 1 bytes of the buffer.
///
/// A protocol fills it in: first the text that method, target and authority are part of, then the fields, then `finish`.
/// HTTP/1 appends its request line, HTTP/2 the values of its pseudo-header fields.
///
/// Threads: one at a time; any number of readers once it is finished.  Throws: std::bad_alloc.
class request {
public:
  // --- what was asked ---

  http_version version = http_version::http_1_1;
  bool keep_alive = true;       ///< The client wants further responses on this connection.
  bool unknown_length = false;  ///< There is a body, and only its end tells its length.
  bool expects_continue = false;
  bool asks_upgrade = false;      ///< The client would like the connection to carry another protocol: see upgrade.
  bool extended_connect = false;  ///< Likewise, with HTTP/2, its stream: a CONNECT for a WebSocket, which looks like a GET.
  bool accepts_trailers = false;  ///< The client has said that it reads trailers.
  std::optional<std::uint64_t> content_length;

  /// Any token, known or not, except CONNECT. Empty if the request had no valid one.
  [[nodiscard]] std::string_view method() const { return text(method_); }
  [[nodiscard]] std::string_view target() const { return text(target_); }
  [[nodiscard]] std::string_view path() const { return text(path_); }
  [[nodiscard]] std::string_view query() const { return text(query_); }
  /// The host that the request is for and perhaps a port, as sent: in the target, or else in the Host field; empty if
  /// there is none.
  [[nodiscard]] std::string_view host() const { return text(host_); }
  /// Its parts; the port without leading zeros.
  [[nodiscard]] std::string_view host_name() const { return text(host_name_); }
  [[nodiscard]] std::string_view host_port() const { return text(host_port_); }

  [[nodiscard]] field_section const& fields() const { return fields_; }
  /// The fields behind the body. Another thread may add them until the body is complete: see exchange::received_trailers.
  [[nodiscard]] field_section const& trailers() const { return trailers_; }

  [[nodiscard]] bool has_body() const { return unknown_length || content_length.value_or(0) != 0; }
  [[nodiscard]] bool head_only() const { return method() == "HEAD"; }

  // --- for protocols ---

  void clear();
  /// Appends text to which the next three functions refer.
  void append_text(std::string_view bytes) { fields_.append_text(bytes); }
  /// What has been appended.
  [[nodiscard]] std::string_view text() const { return fields_.text(); }
  /// `method` is part of `text`.
  void set_method(std::string_view method) { method_ = span_of(method); }
  /// The views in `target`, which belongs to the method, are parts of `text`. Invalidates views into it.
  void set_target(request_target const& target);
  /// Sets the host, unless the target has one. All views are parts of `text`.
  void set_host(std::string_view text, authority const& parsed);
  /// Where the fields are added.
  [[nodiscard]] field_section& fields() { return fields_; }

  /// Checks the fields and finds out about host, length and expectations.
  [[nodiscard]] rejection finish();

  /// Where trailers are added.
  [[nodiscard]] field_section& trailers() { return trailers_; }
  /// Drops those that may not be trailers, and checks the others like fields.
  [[nodiscard]] rejection finish_trailers();

private:
  struct span {
    std::uint32_t start = 0;
    std::uint32_t length = 0;
  };

  [[nodiscard]] std::string_view text(span s) const { return text().substr(s.start, s.length); }
  [[nodiscard]] span span_of(std::string_view inside) const {
    if (inside.empty()) return {};
    return {static_cast<std::uint32_t>(inside.data() - text().data()), static_cast<std::uint32_t>(inside.size())};
  }

  rejection check_fields();
  rejection check_host(field_section::field const* field);
  rejection check_expectations(std::string_view list);
  rejection check_length(field_section::field const& field);

  field_section fields_;
  field_section trailers_;
  span method_, target_, path_, query_, host_, host_name_, host_port_;
};

}  // namespace kino::server
