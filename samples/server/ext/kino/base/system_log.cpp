// SPDX-License-Identifier: MIT

#include "base/system_log.hpp"

#include "base/parse_number.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <stdexcept>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace kino::server {

namespace {

// Fits into the send buffer of a socket, by default 208 KiB.
constexpr std::size_t longest_line = 64 << 10;
constexpr unsigned level_info = 6;
constexpr unsigned levels = 8;
constexpr unsigned facilities = 24;

struct sender {
  unsigned facility = 0;
  std::string tag;
};

sender read_sender(std::string_view destination) {
  constexpr std::string_view facility = "?facility=", tag = "&tag=";
  std::size_t const first = destination.find(facility), second = destination.find(tag, first);
  if (second != destination.npos) {
    std::size_t const digits = first + facility.size();
    auto const number = parse_number<unsigned>(destination.substr(digits, second - digits));
    if (number && *number < facilities) return {*number, std::string(destination.substr(second + tag.size()))};
  }
  throw std::invalid_argument("kino: " + std::string(destination) + " has no valid facility and tag");
}

// The form of RFC 3164 without the name of the host, which is what daemons expect at a local socket.
void append_syslog(std::string& to, sender const& from, std::string_view line) {
  static constexpr char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::time_t const now = std::time(nullptr);
  std::tm t{};
  ::localtime_r(&now, &t);
  char head[64];
  // By hand: strftime speaks the process's language.
  int const length = std::snprintf(head, sizeof head, "<%u>%s %2d %02d:%02d:%02d ", from.facility * levels + level_info,
                                   months[t.tm_mon], t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
  to.append(head, static_cast<std::size_t>(length)).append(from.tag);
  to.append("[").append(std::to_string(::getpid())).append("]: ").append(line);
}

void append_journald(std::string& to, sender const& from, std::string_view line) {
  to.append("PRIORITY=").append(std::to_string(level_info));
  to.append("\nSYSLOG_FACILITY=").append(std::to_string(from.facility));
  to.append("\nSYSLOG_IDENTIFIER=").append(from.tag);
  to.append("\nSYSLOG_PID=").append(std::to_string(::getpid()));
  if (line.find('\n') == line.npos) {
    to.append("\nMESSAGE=").append(line).append("\n");
    return;
  }
  // A value with line feeds has its length in front, as a little-endian number of 64 bits.
  to.append("\nMESSAGE\n");
  for (std::uint64_t size = line.size(), i = 0; i != sizeof size; ++i, size >>= 8) to += static_cast<char>(size & 0xff);
  to.append(line).append("\n");
}

}  // namespace

std::optional<kino::async_sink::daemon> find_system_log(std::string const& destination) {
  for (auto const& [kind, append] : {std::pair{std::string_view("syslog:/"), &append_syslog},
                                     std::pair{std::string_view("journald:/"), &append_journald}}) {
    if (!destination.starts_with(kind)) continue;
    std::size_t const path = kind.size() - 1;
    auto wrap = [from = read_sender(destination), append = append](std::string& datagram, std::string_view line) {
      append(datagram, from, line.substr(0, longest_line));
    };
    return kino::async_sink::daemon{destination.substr(path, destination.find('?') - path), std::move(wrap)};
  }
  return std::nullopt;
}

}  // namespace kino::server
