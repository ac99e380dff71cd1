// SPDX-License-Identifier: MIT
//
// The settings of the control plane.

#pragma once

#include "base/options.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace kino::server {

/// What Ruby passes for a server with a control plane.
struct control_settings {
  /// Where it listens.
  std::vector<bind_address> binds;
  /// What clients must send as "Authorization: Bearer ..."; empty: nothing.
  std::string token;
  /// The page at "/", and its Content-Security-Policy.
  std::string page;
  std::string page_policy;
  /// Facts about the server that do not change.
  std::string mode;
  std::string version;
  std::string ruby;
  std::uint32_t workers = 0;
  std::uint32_t threads = 0;
  double started = 0;  // Unix time
  /// Whether the numbers are those of other processes, from which Ruby collects them.
  bool collects = false;
};

}  // namespace kino::server
