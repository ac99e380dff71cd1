// SPDX-License-Identifier: MIT

#include "http/request_start.hpp"

#include <charconv>

namespace kino::server {

std::optional<std::chrono::system_clock::time_point> request_start_of(std::string_view value) {
  if (value.starts_with("t=")) value.remove_prefix(2);
  // As a whole number and a fraction: a double has too few digits for microseconds, and would allow an exponent.
  std::uint64_t whole = 0;
  char const* const end = value.data() + value.size();
  auto const [point, wrong] = std::from_chars(value.data(), end, whole);
  if (wrong != std::errc()) return std::nullopt;
  std::uint64_t thousandths = 0;
  if (point != end) {
    if (*point != '.') return std::nullopt;
    std::uint64_t place = 100;
    for (char const* digit = point + 1; digit != end; ++digit, place /= 10) {
      if (*digit < '0' || *digit > '9') return std::nullopt;
      thousandths += static_cast<std::uint64_t>(*digit - '0') * place;
    }
  }
  constexpr std::uint64_t least = 1'000'000'000;  // seconds, in September 2001
  if (whole < least || whole >= least * 1'000'000'000) return std::nullopt;
  std::uint64_t microseconds = 0;
  if (whole < least * 1000) microseconds = whole * 1'000'000 + thousandths * 1000;
  else if (whole < least * 1'000'000) microseconds = whole * 1000 + thousandths;
  else microseconds = whole;
  if (microseconds > 9 * least * 1'000'000) return std::nullopt;  // Nanoseconds have 63 bits, until 2262.
  return std::chrono::system_clock::time_point(std::chrono::microseconds(microseconds));
}

std::optional<std::chrono::system_clock::time_point> request_start(field_section const& fields) {
  for (std::string_view name : {"x-request-start", "x-queue-start"}) {
    if (field_section::field const* const one = fields.find(name)) return request_start_of(fields.value(*one));
  }
  return std::nullopt;
}

}  // namespace kino::server
