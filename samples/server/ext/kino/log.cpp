// SPDX-License-Identifier: MIT

#include "log.hpp"

#include <algorithm>
#include <cstring>
#include <unistd.h>

namespace kino::server {

void log_line(std::string_view text) noexcept {
  // A line in one write is not torn by other writers, up to PIPE_BUF.
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
  [[maybe_unused]] auto const written = ::write(STDERR_FILENO, line, prefix.size() + length + 1);
}

}  // namespace kino::server
