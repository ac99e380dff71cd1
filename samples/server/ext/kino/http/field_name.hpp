// SPDX-License-Identifier: MIT
//
// folded_name: the name of a field, in the form in which applications compare names.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace kino::server {

/// A folded_name is a view of a field's name that ignores its spelling: case, and whether words are separated by dashes
/// or underscores. CGI, and therefore Rack, cannot tell such spellings apart.
///
/// Names are tokens (RFC 9110, 5.6.2), which are ASCII; a byte outside ASCII equals only itself. Works on eight bytes
/// at a time.
class folded_name {
public:
  constexpr explicit folded_name(std::string_view name) : name_(name) {}

  /// Eight bytes in folded form: letters in upper case, underscores for dashes.
  [[nodiscard]] static constexpr std::uint64_t fold(std::uint64_t word) {
    constexpr std::uint64_t ones = 0x0101010101010101;
    constexpr std::uint64_t tops = 0x8080808080808080;
    // The top bit of each byte says: from 'a' to 'z'; not a dash. The sums stay within their bytes.
    std::uint64_t const ascii = word & ~tops;
    std::uint64_t const lower = (ascii + ones * (0x80 - 'a')) & ~(ascii + ones * (0x7f - 'z')) & ~word & tops;
    std::uint64_t const other = (ascii ^ ones * '-') + ones * 0x7f;
    std::uint64_t const dash = ~other & ~word & tops;
    return word ^ lower >> 2 ^ (dash >> 7) * ('-' ^ '_');
  }

  /// Copies the folded name to `out`, which has room for `copied_size` bytes.
  void copy(char* out) const {
    for (std::size_t at = 0; at < name_.size(); at += 8) {
      std::uint64_t const word = fold(word_at(at));
      std::memcpy(out + at, &word, sizeof word);
    }
  }
  /// The size of the name, rounded up to whole words.
  [[nodiscard]] std::size_t copied_size() const { return (name_.size() + 7) / 8 * 8; }

  [[nodiscard]] std::uint32_t hash() const {
    std::uint64_t hash = name_.size();
    for (std::size_t at = 0; at < name_.size(); at += 8) {
      hash = (hash ^ fold(word_at(at))) * 0x9e3779b97f4a7c15;  // 2^64 divided by the golden ratio
      hash ^= hash >> 32;
    }
    return static_cast<std::uint32_t>(hash);
  }

  friend bool operator==(folded_name a, folded_name b) {
    return a.name_.size() == b.name_.size() && a.first_difference(b) >= a.name_.size();
  }
  /// Some order: not the alphabetical one.
  friend bool operator<(folded_name a, folded_name b) {
    if (a.name_.size() != b.name_.size()) return a.name_.size() < b.name_.size();
    std::size_t const at = a.first_difference(b);
    return at < a.name_.size() && fold(a.word_at(at)) < fold(b.word_at(at));
  }

private:
  // The eight bytes from `at` on, with zeros behind the end.
  [[nodiscard]] std::uint64_t word_at(std::size_t at) const {
    std::uint64_t word = 0;
    std::size_t const left = name_.size() - at;
    if (left >= sizeof word) {
      std::memcpy(&word, name_.data() + at, sizeof word);
    } else {
      std::memcpy(&word, name_.data() + at, left);
    }
    return word;
  }
  // The start of the first word that differs from that of a name of the same size, or beyond the end.
  [[nodiscard]] std::size_t first_difference(folded_name other) const {
    std::size_t at = 0;
    while (at < name_.size()) {
      std::uint64_t const mine = word_at(at);
      std::uint64_t const theirs = other.word_at(at);
      if (mine != theirs && fold(mine) != fold(theirs)) break;
      at += 8;
    }
    return at;
  }

  std::string_view name_;
};

}  // namespace kino::server
