// SPDX-License-Identifier: MIT

#include "http/rejection.hpp"

#include "base/log.hpp"

#include <new>
#include <string>

namespace kino::server {

void log_rejection(endpoint const& client, rejection const& why) noexcept try {
  std::string line = client.address + (client.port.empty() ? "" : ":" + client.port) + ": ";
  if (why.status != 0) line += std::to_string(why.status) + ", ";
  line += why.reason;
  if (why.limit != 0) {
    line += " (limit " + std::to_string(why.limit) + ", seen " + std::to_string(why.value) + ")";
  }
  log_line(line);
} catch (std::bad_alloc const&) {
  log_line(why.reason);
}

}  // namespace kino::server
