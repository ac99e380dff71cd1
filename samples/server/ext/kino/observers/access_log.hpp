// SPDX-License-Identifier: MIT
//
// The access log: one line for each exchange.

#pragma once

#include "http/observer.hpp"
#include "observers/log_format.hpp"

#include <kino/async_sink.hpp>

#include <atomic>
#include <cstdint>
#include <string>

namespace kino::server {

struct access_log_settings {
  /// See log_destination.
  std::string destination = "stdout";
  /// See log_format.
  std::string format = "combined";
  /// One line for so many exchanges; exchanges that failed always have one.
  std::uint32_t sample = 1;
  /// Whether the status is coloured, for a terminal.
  bool color = false;
};

/// An access_log writes one line for each exchange when it ends, including those that never reached the application.
///
/// An exchange has failed if its status is 400 or more or its response is incomplete. Lines appear in the order in which
/// exchanges end. Lines that the destination does not take in time are dropped, and the server's log says how many.
///
/// Threads: any.
/// Blocks:  never.
/// Errors:  the constructor throws std::system_error (the destination cannot be opened) and std::invalid_argument (the format).
class access_log final : public observer {
public:
  explicit access_log(access_log_settings const& settings);

  void ended(exchange_report const& report) noexcept override;

private:
  [[nodiscard]] bool chosen(exchange_report const& report) noexcept;

  log_format const format_;
  kino::async_sink& sink_;
  std::uint32_t const sample_;
  std::atomic<std::uint32_t> counted_{0};  // relaxed: only its own values matter
};

}  // namespace kino::server
