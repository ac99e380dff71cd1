// SPDX-License-Identifier: MIT

#include "base/ip_address.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace server = kino::server;
using server::ip_address;
using server::ip_networks;

TEST_CASE("an address is parsed, and written in one form") {
  for (auto const& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"192.0.2.1", "192.0.2.1"}, {"0.0.0.0", "0.0.0.0"}, {"2001:DB8:0:0::1", "2001:db8::1"}, {"::", "::"},
           {"::ffff:192.0.2.1", "192.0.2.1"}, {"::ffff:c000:201", "192.0.2.1"}}) {
    auto const parsed = ip_address::parse(text);
    REQUIRE(parsed);
    CHECK(parsed->text() == expected);
    CHECK(parsed->is_v4() == (expected.find(':') == expected.npos));
    CHECK(*parsed == *ip_address::parse(expected));
  }
}

TEST_CASE("what is no address is not parsed") {
  for (std::string const& text : std::vector<std::string>{
           "", "1", "192.0.2", "192.0.2.256", "192.0.2.01", " 192.0.2.1", "192.0.2.1 ", "192.0.2.1:80", "[::1]", "::1%lo", "1::2::3",
           "localhost", std::string("::1\0", 4), std::string(1000, '1')}) {
    CHECK_MESSAGE(!ip_address::parse(text), text);
  }
}

TEST_CASE("networks contain their addresses, in either notation") {
  ip_networks const networks({"10.0.0.0/8", "192.0.2.77", "2001:db8::/33", "127.0.0.1/31"});
  for (char const* in : {"10.0.0.0", "10.255.255.255", "192.0.2.77", "2001:db8:7fff::1", "127.0.0.0", "127.0.0.1", "::ffff:10.1.2.3"}) {
    CHECK_MESSAGE(networks.contain(in), in);
  }
  for (char const* out : {"9.255.255.255", "11.0.0.0", "192.0.2.78", "2001:db8:8000::", "2001:db7::", "127.0.0.2", "::10.1.2.3", "",
                          "unknown", "10.0.0.0/8"}) {
    CHECK_MESSAGE(!networks.contain(out), out);
  }
  CHECK(ip_networks().empty());
  CHECK(!ip_networks().contain("10.0.0.1"));
  CHECK(ip_networks({"0.0.0.0/0"}).contain("10.0.0.1"));
  CHECK(!ip_networks({"0.0.0.0/0"}).contain("2001:db8::1"));
  CHECK(ip_networks({"::/0"}).contain("2001:db8::1"));
}

TEST_CASE("names stand for networks") {
  ip_networks const loopback({"loopback"});
  ip_networks const both({"private", "loopback"});
  for (char const* in : {"127.0.0.1", "127.255.0.1", "::1"}) CHECK((loopback.contain(in) && both.contain(in)));
  for (char const* in : {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1"}) {
    CHECK((!loopback.contain(in) && both.contain(in)));
  }
  for (char const* out : {"172.32.0.1", "192.169.0.1", "128.0.0.1", "::2", "fe80::1", "2001:db8::1"}) CHECK(!both.contain(out));
}

TEST_CASE("what is no network is refused with its text") {
  for (char const* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8 ", "10.0.0.0/8/8", "10/8", "::/129",
                           "2001:db8::/x", "proxy.example"}) {
    CHECK_THROWS_WITH_AS(ip_networks({text}), doctest::Contains("no network in CIDR notation"), std::invalid_argument);
  }
}

TEST_CASE("a network contains what has its bits") {
  std::mt19937 random(7);
  for (int round = 0; round < 5000; ++round) {
    std::uint8_t one[16];
    std::uint8_t other[16];
    for (int i = 0; i < 16; ++i) one[i] = other[i] = static_cast<std::uint8_t>(random());
    unsigned const prefix = random() % 129;
    unsigned const flipped = random() % 128;
    other[flipped / 8] = static_cast<std::uint8_t>(other[flipped / 8] ^ (0x80u >> flipped % 8));
    ip_networks const network({ip_address::v6(one).text() + "/" + std::to_string(prefix)});
    CHECK(network.contain(ip_address::v6(one)));
    CHECK(network.contain(ip_address::v6(other)) == (flipped >= prefix));
  }
}
