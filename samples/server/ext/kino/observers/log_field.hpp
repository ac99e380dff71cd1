// SPDX-License-Identifier: MIT
//
// log_field: what can be logged about an exchange, and its names.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kino::server {

/// A log_field is one thing that a line of the access log can say about an exchange. docs/logging.md describes them.
enum class log_field : std::uint8_t {
  none,
  app_time,
  end,
  first_byte_time,
  header,
  host,
  method,
  path,
  protocol,
  query,
  queue_time,
  receive_time,
  remote_addr,
  remote_port,
  remote_user,
  request,
  request_bytes,
  request_id,
  response_bytes,
  scheme,
  status,
  target,
  time,
  time_local,
  tls_client,
  total_time,
  user_agent,
};

/// The field called `name`, also by the name that nginx has for it; `header` for "http_NAME" and the names of some header
/// fields; `none` if there is none.
[[nodiscard]] log_field find_log_field(std::string_view name) noexcept;
/// The name of the header field that the field `name` shows, if it shows one.
[[nodiscard]] std::string_view header_of(std::string_view name) noexcept;
/// A list of the names, for error messages.
[[nodiscard]] std::string log_field_names();

}  // namespace kino::server
