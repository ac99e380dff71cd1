// SPDX-License-Identifier: MIT
//
// What a TLS server is configured with.

#pragma once

#include "tls/tls_engine.hpp"

#include <string>
#include <vector>

namespace kino::server {

/// The settings of TLS, with the contents of all files.
struct tls_settings {
  struct certificate {
    std::string chain;  ///< PEM
    std::string key;    ///< PEM
    std::string name;   ///< for messages: the path of `chain` ...
    std::string key_name;  ///< ... and of `key`
  };

  std::vector<certificate> certificates;
  std::string client_ca;  ///< PEM
  std::string client_ca_name;
  tls::verify clients = tls::verify::none;
};

}  // namespace kino::server
