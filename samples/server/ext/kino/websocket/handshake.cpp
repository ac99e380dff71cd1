// SPDX-License-Identifier: MIT

#include "websocket/handshake.hpp"

#include "http/field_list.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace kino::server {

namespace {

// The digest of RFC 3174, over texts that are short. It guards nothing here: the handshake only proves that the server
// has understood the request.
class sha1 {
public:
  static constexpr std::size_t size = 20;

  void add(std::string_view text) {
    for (char const c : text) {
      block_[length_++ % block_.size()] = static_cast<std::uint8_t>(c);
      if (length_ % block_.size() == 0) mix();
    }
  }

  std::array<std::uint8_t, size> finish() {
    std::uint64_t const bits = std::uint64_t{length_} * 8;
    add("\x80");
    while (length_ % block_.size() != block_.size() - 8) add({"\0", 1});
    for (int shift = 56; shift >= 0; shift -= 8) {
      char const byte = static_cast<char>(bits >> shift);
      add({&byte, 1});
    }
    std::array<std::uint8_t, size> digest{};
    for (std::size_t i = 0; i != size; ++i) digest[i] = static_cast<std::uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
    return digest;
  }

private:
  void mix() {
    std::array<std::uint32_t, 80> words{};
    for (std::size_t i = 0; i != 64; ++i) words[i / 4] = words[i / 4] << 8 | block_[i];
    for (std::size_t i = 16; i != 80; ++i) words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    auto [a, b, c, d, e] = state_;
    for (std::size_t i = 0; i != 80; ++i) {
      std::uint32_t const part = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                                 : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                                 : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                                          : (b ^ c ^ d) + 0xca62c1d6;
      std::uint32_t const next = std::rotl(a, 5) + part + e + words[i];
      e = d;
      d = c;
      c = std::rotl(b, 30);
      b = a;
      a = next;
    }
    state_[0] += a;
    state_[1] += b;
    state_[2] += c;
    state_[3] += d;
    state_[4] += e;
  }

  std::array<std::uint32_t, 5> state_{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  std::array<std::uint8_t, 64> block_{};
  std::size_t length_ = 0;
};

constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// The value of the only field of this name; empty if there is none, or more than one.
std::string_view only_value(request const& asked, std::string_view wanted) {
  field_section const& fields = asked.fields();
  auto const* const found = fields.find(wanted);
  return found && found->next == 0 && !found->repeated ? fields.value(*found) : "";
}

// Whether it is sixteen bytes in base64.
bool is_key(std::string_view text) {
  return text.size() == 24 && text.ends_with("==") &&
         std::all_of(text.begin(), text.end() - 2, [](char c) { return base64_digits.find(c) != base64_digits.npos; });
}

}  // namespace

bool asks_websocket(request const& asked) {
  if (asked.extended_connect) return true;
  if (!asked.asks_upgrade || asked.method() != "GET") return false;
  field_section const& fields = asked.fields();
  bool found = false;
  for (auto const& one : fields.all()) {
    if (one.known != known_field::upgrade) continue;
    for_each_element(fields.value(one), [&](std::string_view name) { found |= equal_ignoring_case(name, "websocket"); });
  }
  return found;
}

int handshake_problem(request const& asked) {
  if (only_value(asked, "sec-websocket-version") != "13") return 426;
  return asked.extended_connect || is_key(only_value(asked, "sec-websocket-key")) ? 0 : 400;
}

accept_key accept_key_for(request const& asked) { return accept_key_for(only_value(asked, "sec-websocket-key")); }

accept_key accept_key_for(std::string_view key) {
  sha1 hash;
  hash.add(key);
  hash.add("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
  std::array<std::uint8_t, sha1::size + 1> bytes{};  // seven groups of three, the last one short by one
  std::ranges::copy(hash.finish(), bytes.begin());
  accept_key made{};
  for (std::size_t group = 0; group != 7; ++group) {
    std::uint32_t const bits = static_cast<std::uint32_t>(bytes[3 * group] << 16 | bytes[3 * group + 1] << 8 | bytes[3 * group + 2]);
    for (std::size_t i = 0; i != 4; ++i) made[4 * group + i] = base64_digits[bits >> (18 - 6 * i) & 63];
  }
  made.back() = '=';
  return made;
}

}  // namespace kino::server
