// SPDX-License-Identifier: MIT

#include "http/field_name.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <string>

using kino::server::folded_name;

namespace {

// The specification, byte by byte.
char folded(char c) { return c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

std::string folded(std::string text) {
  for (char& c : text) c = folded(c);
  return text;
}

std::string copy_of(std::string const& name) {
  std::string out(folded_name(name).copied_size() + 1, '#');
  folded_name(name).copy(out.data());
  CHECK(out.back() == '#');
  return out.substr(0, name.size());
}

}  // namespace

TEST_CASE("each byte is folded independently of its neighbours") {
  for (int byte = 0; byte < 256; ++byte) {
    for (int beside : {0x00, 0x2d, 0x61, 0x7a, 0x7f, 0x80, 0xad, 0xe1, 0xff}) {
      for (int place = 0; place < 8; ++place) {
        char bytes[8];
        std::memset(bytes, beside, sizeof bytes);
        bytes[place] = static_cast<char>(byte);
        std::uint64_t word;
        std::memcpy(&word, bytes, sizeof word);
        word = folded_name::fold(word);
        std::memcpy(bytes, &word, sizeof word);
        for (int i = 0; i < 8; ++i) REQUIRE(bytes[i] == folded(static_cast<char>(i == place ? byte : beside)));
      }
    }
  }
}

TEST_CASE("names are equal, ordered and hashed as their folded forms are") {
  std::mt19937 random(5);
  static constexpr std::string_view letters = "aAbB-_";
  auto const name = [&] {
    std::string made;
    for (std::size_t left = random() % 20; left != 0; --left) made += letters[random() % (random() % 8 ? 2 : 6)];
    return made;
  };
  int equal = 0;
  for (int round = 0; round < 100000; ++round) {
    std::string const a = name();
    std::string b = a;
    if (random() % 2) b = name();
    for (char& c : b) {
      if (random() % 4 == 0) c = c == '-' ? '_' : c == '_' ? '-' : static_cast<char>(c ^ 0x20);
    }
    bool const same = folded(a) == folded(b);
    REQUIRE((folded_name(a) == folded_name(b)) == same);
    REQUIRE((folded_name(a) < folded_name(b)) + (folded_name(b) < folded_name(a)) == !same);
    if (same) REQUIRE(folded_name(a).hash() == folded_name(b).hash());
    REQUIRE(copy_of(a) == folded(a));
    equal += same;
  }
  CHECK(equal > 10000);
  CHECK(equal < 90000);
}

TEST_CASE("names that differ in one byte rarely have one hash") {
  std::mt19937 random(6);
  int same = 0;
  for (int round = 0; round < 100000; ++round) {
    std::string a;
    for (std::size_t left = 1 + random() % 40; left != 0; --left) a += static_cast<char>('a' + random() % 26);
    std::string b = a;
    char& changed = b[random() % b.size()];
    changed = static_cast<char>('a' + (changed - 'a' + 1 + random() % 25) % 26);
    same += folded_name(a).hash() == folded_name(b).hash();
  }
  CHECK(same < 10);
}
