// SPDX-License-Identifier: MIT
//
// One side of a connection, as text.

#pragma once

#include <string>

namespace kino::server {

/// An endpoint is one side of a connection, in the form of a Rack environment. The port of a Unix
/// socket is empty.
struct endpoint {
  std::string address;
  std::string port;
};

}  // namespace kino::server
