// SPDX-License-Identifier: MIT

#include "observers/log_text.hpp"

#include "base/utf8.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace kino::server {

namespace {

using std::chrono::system_clock;

constexpr char digits[] = "0123456789abcdef";

// "00", "01" and so on to "99".
constexpr auto digit_pairs = [] {
  std::array<char, 200> all{};
  for (std::size_t i = 0; i != all.size(); ++i) all[i] = digits[i % 2 == 0 ? i / 20 : i / 2 % 10];
  return all;
}();

constexpr bool is_plain(char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

// Sixteen bytes, which the compiler compares at once where the machine can.
typedef unsigned char block __attribute__((vector_size(16)));

bool all_plain(block bytes) {
  auto const odd = (bytes < 0x20) | (bytes > 0x7e) | (bytes == '"') | (bytes == '\\');
  std::uint64_t halves[2];
  std::memcpy(halves, &odd, sizeof halves);
  return (halves[0] | halves[1]) == 0;
}

bool all_plain(std::string_view bytes) {
  block next = block{} + ' ';
  if (bytes.size() < sizeof next) {
    std::memcpy(&next, bytes.data(), bytes.size());
    return all_plain(next);
  }
  for (std::size_t at = 0; bytes.size() - at > sizeof next; at += sizeof next) {
    std::memcpy(&next, bytes.data() + at, sizeof next);
    if (!all_plain(next)) return false;
  }
  // The last block may overlap the one before.
  std::memcpy(&next, bytes.data() + bytes.size() - sizeof next, sizeof next);
  return all_plain(next);
}

// Appends plain bytes as they are; `escape` appends what begins with another byte, and returns its length.
template <class Escape>
void append_with(line_buffer& out, std::string_view bytes, Escape escape) {
  if (all_plain(bytes)) [[likely]] {
    out.append(bytes);
    return;
  }
  while (!bytes.empty()) {
    auto const plain = static_cast<std::size_t>(std::find_if_not(bytes.begin(), bytes.end(), is_plain) - bytes.begin());
    out.append(bytes.substr(0, plain));
    bytes.remove_prefix(plain);
    if (!bytes.empty()) bytes.remove_prefix(escape(bytes));
  }
}

void append_unit(line_buffer& out, std::uint32_t unit) {
  char const text[] = {'\\', 'u', digits[unit >> 12 & 15], digits[unit >> 8 & 15], digits[unit >> 4 & 15], digits[unit & 15]};
  out.append({text, sizeof text});
}

// A text that changes once a second, kept by each thread.
struct second_text {
  std::time_t second = -1;
  std::size_t size = 0;
  std::array<char, 40> text{};

  template <class Make>
  std::string_view at(std::time_t now, Make make) {
    if (now != second) {
      int const length = make(text.data(), text.size());
      size = length < 0 ? 0 : std::min(static_cast<std::size_t>(length), text.size() - 1);
      second = now;
    }
    return {text.data(), size};
  }
};

}  // namespace

void append_escaped(line_buffer& out, std::string_view bytes) {
  append_with(out, bytes, [&out](std::string_view rest) {
    auto const c = static_cast<unsigned char>(rest[0]);
    char const text[] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
    out.append({text, sizeof text});
    return std::size_t{1};
  });
}

void append_json_escaped(line_buffer& out, std::string_view bytes) {
  append_with(out, bytes, [&out](std::string_view rest) {
    if (rest[0] == '"' || rest[0] == '\\') {
      out += '\\';
      out += rest[0];
      return std::size_t{1};
    }
    utf8_character const next = first_character(rest);
    if (next.code < 0x10000) {
      append_unit(out, next.code);
    } else {
      append_unit(out, 0xd800 + ((next.code - 0x10000) >> 10));
      append_unit(out, 0xdc00 + ((next.code - 0x10000) & 0x3ff));
    }
    return next.size;
  });
}

void append_json_escaped(std::string& out, std::string_view bytes) {
  line_buffer escaped;
  append_json_escaped(escaped, bytes);
  out += escaped.text();
}

void append_number(line_buffer& out, std::uint64_t number) {
  if (number < 10) {
    out += digits[number];
    return;
  }
  constexpr std::size_t most_digits = 20;
  char* const first = out.room(most_digits);
  out.advance(static_cast<std::size_t>(std::to_chars(first, first + most_digits, number).ptr - first));
}

void append_seconds(line_buffer& out, std::chrono::nanoseconds duration) {
  auto const micros = static_cast<std::uint64_t>(std::max<std::int64_t>(0, duration.count())) / 1000;
  append_number(out, micros / 1'000'000);
  auto const rest = static_cast<std::uint32_t>(micros % 1'000'000);
  std::uint32_t const hundreds = rest / 100;
  char* const to = out.room(7);
  to[0] = '.';
  std::memcpy(to + 1, &digit_pairs[2 * (hundreds / 100)], 2);
  std::memcpy(to + 3, &digit_pairs[2 * (hundreds % 100)], 2);
  std::memcpy(to + 5, &digit_pairs[2 * (rest % 100)], 2);
  out.advance(7);
}

// Not inlined, either: a thread-local's address must not be kept across a call into Ruby, after which a Ractor may be on
// another native thread.
[[gnu::noinline]] void append_utc_time(line_buffer& out, system_clock::time_point at) {
  static thread_local second_text cached;
  auto const whole = std::chrono::floor<std::chrono::seconds>(at);
  std::time_t const second = system_clock::to_time_t(whole);
  out.append(cached.at(second, [second](char* text, std::size_t size) {
    std::tm t{};
    ::gmtime_r(&second, &t);
    return std::snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02d.", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
                         t.tm_min, t.tm_sec);
  }));
  auto const ms = static_cast<unsigned>(std::chrono::duration_cast<std::chrono::milliseconds>(at - whole).count());
  char const text[] = {static_cast<char>('0' + ms / 100), static_cast<char>('0' + ms / 10 % 10), static_cast<char>('0' + ms % 10), 'Z'};
  out.append({text, sizeof text});
}

[[gnu::noinline]] void append_local_time(line_buffer& out, system_clock::time_point at) {
  static constexpr char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  static thread_local second_text cached;
  std::time_t const second = system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(at));
  out.append(cached.at(second, [second](char* text, std::size_t size) {
    std::tm t{};
    ::localtime_r(&second, &t);
    long const minutes = t.tm_gmtoff / 60;
    long const ahead = minutes < 0 ? -minutes : minutes;
    // By hand: strftime speaks the process's language.
    return std::snprintf(text, size, "%02d/%s/%04d:%02d:%02d:%02d %c%02ld%02ld", t.tm_mday, months[t.tm_mon], t.tm_year + 1900,
                         t.tm_hour, t.tm_min, t.tm_sec, minutes < 0 ? '-' : '+', ahead / 60, ahead % 60);
  }));
}

}  // namespace kino::server
