// SPDX-License-Identifier: MIT

#include "net/proxy_header.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace server = kino::server;
using server::proxy_header;
using state = server::proxy_header::state;
using namespace std::string_literals;

namespace {

std::string const v2_signature("\r\n\r\n\0\r\nQUIT\n", 12);

// A header of version 2.
std::string v2(int version_and_command, int family, std::string const& rest, std::optional<std::size_t> length = {}) {
  std::size_t const said = length.value_or(rest.size());
  std::string made = v2_signature;
  for (std::size_t const byte : {static_cast<std::size_t>(version_and_command), static_cast<std::size_t>(family), said >> 8, said & 255}) {
    made += static_cast<char>(byte);
  }
  return made + rest;
}

std::string const four = "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdd\xd5\x01\xbb"s;
std::string const six = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01" + "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x02" +
                        "\x00\x50\x01\xbb"s;
std::string const mapped = std::string(10, '\0') + "\xff\xff\xc0\x00\x02\x01"s + std::string(16, '\0') + "\x00\x01\x01\xbb"s;

struct sample {
  std::string bytes;
  std::string client;  // empty: the header names none
};

std::vector<sample> const valid{
    {"PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n", "192.0.2.1 56789"},
    {"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "0.0.0.0 0"},
    {"PROXY TCP6 2001:db8::1 2001:DB8:0:0:0:0:0:2 80 443\r\n", "2001:db8::1 80"},
    {"PROXY TCP6 2001:0DB8:0:0::01 ::2 80 443\r\n", "2001:db8::1 80"},
    {"PROXY TCP6 ::ffff:192.0.2.1 ::1 80 443\r\n", "192.0.2.1 80"},
    {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535"},
    {"PROXY UNKNOWN\r\n", ""},
    {"PROXY UNKNOWN ffff::1 anything that may be here  \r\n", ""},
    {"PROXY UNKNOWN " + std::string(91, 'x') + "\r\n", ""},
    {v2(0x21, 0x11, four), "192.0.2.1 56789"},
    {v2(0x21, 0x21, six), "2001:db8::1 80"},
    {v2(0x21, 0x21, mapped), "192.0.2.1 1"},
    {v2(0x21, 0x11, four + "\x04\x00\x03xyz"s), "192.0.2.1 56789"},
    {v2(0x21, 0x11, four + std::string(3000, 't')), "192.0.2.1 56789"},
    {v2(0x21, 0x12, four), ""},                      // datagrams
    {v2(0x21, 0x31, std::string(216, 'p')), ""},     // Unix sockets
    {v2(0x21, 0x00, ""), ""},                        // a proxy that cannot tell
    {v2(0x21, 0x00, "tlv"), ""},
    {v2(0x20, 0x00, ""), ""},                        // LOCAL: a health check of the proxy
    {v2(0x20, 0x11, four), ""},
    {v2(0x20, 0x11, "x"), ""},
};

std::vector<std::string> const invalid{
    "GET / HTTP/1.1\r\n", "\r\n\r\nGET", "\x16\x03\x01", "PROXX", "proxy TCP4 192.0.2.1 198.51.100.2 56789 443\r\n",
    "PROXY  TCP4 192.0.2.1 198.51.100.2 56789 443\r\n", "PROXY TCP4\r\n", "PROXY \r\n", "PROXY TCP5 192.0.2.1 192.0.2.1 1 1\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56789\r\n", "PROXY TCP4 192.0.2.1 198.51.100.2 56789 443 \r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56789 443 x\r\n", "PROXY TCP4 192.0.2.1  198.51.100.2 56789 443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n", "PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n", "PROXY TCP4 192.0.2.1 198.51.100.2 +1 443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 01 443\r\n", "PROXY TCP4 192.0.2.1 198.51.100.2 0x1 443\r\n",
    "PROXY TCP4 192.0.2.256 198.51.100.2 1 443\r\n", "PROXY TCP4 192.0.2 198.51.100.2 1 443\r\n",
    "PROXY TCP4 192.0.2.01 198.51.100.2 1 443\r\n", "PROXY TCP4 2001:db8::1 198.51.100.2 1 443\r\n",
    "PROXY TCP6 192.0.2.1 2001:db8::1 1 443\r\n", "PROXY TCP6 [2001:db8::1] 2001:db8::1 1 443\r\n",
    "PROXY TCP6 fe80::1%eth0 2001:db8::1 1 443\r\n", "PROXY TCP4 localhost 127.0.0.1 1 443\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\n", "PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\r\n",
    "PROXY TCP4\t192.0.2.1 198.51.100.2 56789 443\r\n", "PROXY UNKNOWN\rx\n"s, "PROXY UNKNOWN\0\r\n"s, "PROXY UNKNOWNS\r\n",
    "PROXY UNKNOWN " + std::string(92, 'x') + "\r\n", "PROXY " + std::string(200, 'x'),
    v2(0x11, 0x11, four), v2(0x31, 0x11, four), v2(0x22, 0x11, four), v2(0x2f, 0x11, four), v2(0x01, 0x11, four),
    v2(0x21, 0x41, four), v2(0x21, 0x13, four), v2(0x21, 0xff, four), v2(0x20, 0xff, four),
    v2(0x21, 0x11, four, 11), v2(0x21, 0x21, six, 35), v2(0x21, 0x31, std::string(216, 'p'), 215), v2(0x21, 0x11, "", 0),
};

std::string client_of(proxy_header const& header) {
  auto const client = header.client();
  return client ? client->address + " " + client->port : "";
}

struct outcome {
  state what = state::incomplete;
  std::size_t taken = 0;
  std::string client;
  bool operator==(outcome const&) const = default;
};

// Reads the pieces in turn, each of `sizes` bytes, the rest as the last one.
outcome read_in(std::string_view bytes, std::vector<std::size_t> const& sizes) {
  proxy_header header;
  outcome all;
  std::size_t next = 0;
  while (!bytes.empty() && all.what == state::incomplete) {
    std::size_t const size = next < sizes.size() ? std::min(sizes[next++], bytes.size()) : bytes.size();
    auto const got = header.read(bytes.substr(0, size));
    REQUIRE(got.taken <= size);
    if (got.what == state::incomplete) REQUIRE(got.taken == size);
    all.what = got.what;
    all.taken += got.taken;
    bytes.remove_prefix(size);
  }
  if (all.what == state::complete) all.client = client_of(header);
  if (all.what == state::invalid) CHECK(*header.why() != '\0');
  return all;
}

}  // namespace

TEST_CASE("a valid header is taken at every split, and no byte behind it") {
  for (sample const& each : valid) {
    CAPTURE(each.bytes);
    outcome const expected{state::complete, each.bytes.size(), each.client};
    for (std::string const& behind : {""s, "GET / HTTP/1.1\r\n\r\n"s, each.bytes}) {
      std::string const all = each.bytes + behind;
      CHECK(read_in(all, {}) == expected);
      for (std::size_t first = 1; first < all.size(); ++first) {
        if (read_in(all, {first}) == expected) continue;
        FAIL_CHECK("split behind byte ", first);
      }
      CHECK(read_in(all, std::vector<std::size_t>(all.size(), 1)) == expected);
    }
  }
}

TEST_CASE("the beginning of a valid header is incomplete") {
  for (sample const& each : valid) {
    for (std::size_t length = 1; length < each.bytes.size(); ++length) {
      if (read_in(std::string_view(each.bytes).substr(0, length), {}).what != state::incomplete) FAIL_CHECK(each.bytes, " cut at ", length);
    }
  }
}

TEST_CASE("what the specification does not allow is invalid, at every split") {
  for (std::string const& each : invalid) {
    CAPTURE(each);
    CHECK(read_in(each, {}).what == state::invalid);
    for (std::size_t first = 1; first < each.size(); ++first) CHECK(read_in(each, {first}).what == state::invalid);
    CHECK(read_in(each, std::vector<std::size_t>(each.size(), 1)).what == state::invalid);
  }
}

TEST_CASE("the longest header of version 2 is taken") {
  std::string const longest = v2(0x21, 0x11, four + std::string(65535 - four.size(), 't'));
  CHECK(read_in(longest + "GET", {}) == outcome{state::complete, longest.size(), "192.0.2.1 56789"});
  CHECK(read_in(longest + "GET", {20, 20, 30000, 30000}) == outcome{state::complete, longest.size(), "192.0.2.1 56789"});
}

TEST_CASE("a header with changed bytes means the same however it is split, and one of version 1 is whole lines of text") {
  std::mt19937 random(20261127);
  auto const below = [&](std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random); };
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = valid[below(valid.size())].bytes;
    for (std::size_t changes = below(4); changes != 0; --changes) {
      std::size_t const at = below(bytes.size());
      switch (below(4)) {
        case 0: bytes[at] = static_cast<char>(below(256)); break;
        case 1: bytes[at] = " 0159:.\r\nPTx"[below(12)]; break;
        case 2: bytes.erase(at, 1 + below(3)); break;
        case 3: bytes.insert(at, 1, bytes[below(bytes.size())]); break;
      }
      if (bytes.empty()) bytes = "P";
    }
    CAPTURE(round);
    outcome const whole = read_in(bytes, {});
    std::vector<std::size_t> sizes;
    for (int i = 0; i < 10; ++i) sizes.push_back(1 + below(40));
    outcome const split = read_in(bytes, sizes);
    // An invalid one may be seen to be so after fewer bytes.
    REQUIRE(whole.what == split.what);
    if (whole.what != state::complete) continue;
    ++accepted;
    REQUIRE(whole == split);
    std::string const header = bytes.substr(0, whole.taken);
    if (header.front() == 'P') {
      CHECK(header.size() <= 107);
      CHECK(header.find("\r\n") == header.size() - 2);
    } else {
      std::size_t const said = static_cast<unsigned char>(header[14]) * 256u + static_cast<unsigned char>(header[15]);
      CHECK(header.size() == 16 + said);
    }
  }
  CHECK(accepted > 1000);
}

TEST_CASE("random bytes are refused") {
  std::mt19937 random(4711);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (int i = 0; i < 64; ++i) bytes += static_cast<char>(random());
    CHECK(read_in(bytes, {1, 2, 3}).what == state::invalid);
  }
}
