// SPDX-License-Identifier: MIT

#include "base/log.hpp"

#include <algorithm>
#include <cstring>
#include <unistd.h>

namespace kino::server {

kino::async_sink& log() {
  // Never destroyed: I/O threads and workers may log until the process is gone.
  static auto& sink = *new kino::async_sink(STDERR_FILENO);
  return sink;
}

void log_line(std::string_view text) noexcept {
  static constexpr std::string_view prefix = "kino: ";
  char line[1024];
  std::memcpy(line, prefix.data(), prefix.size());
  std::size_t const length = std::min(text.size(), sizeof line - prefix.size() - 1);
  for (std::size_t i = 0; i < length; ++i) {
    // What a client sent must not be able to forge lines or steer a terminal.
    char const c = text[i];
    line[prefix.size() + i] = static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  line[prefix.size() + length] = '\n';
  log().write({line, prefix.size() + length + 1});
}

}  // namespace kino::server
