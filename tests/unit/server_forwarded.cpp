// SPDX-License-Identifier: MIT

#include "http/forwarded.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace server = kino::server;
using server::endpoint;
using server::field_section;
using server::forwarded_headers;
using server::forwarded_origin;
using server::known_field;

namespace {

using fields_of_test = std::vector<std::pair<std::string, std::string>>;

struct seen {
  std::string client;
  bool secure = false;
  std::string list, host, port, scheme;
};

std::string text(std::optional<std::string_view> shown) { return shown ? std::string(*shown) : "as sent"; }

seen read(fields_of_test const& sent, forwarded_headers headers = forwarded_headers::x_forwarded, std::string const& peer = "10.0.0.1",
          bool secure = false) {
  field_section fields;
  for (auto const& [name, value] : sent) fields.add(name, value);
  REQUIRE(!fields.finish());
  server::forwarding_policy const policy{headers, server::ip_networks({"private"})};
  forwarded_origin origin;
  origin.read(fields, endpoint{.address = peer, .port = "4711", .trusted = policy.trusted.contain(peer)}, secure, policy);
  std::string const& port = origin.client().port;
  bool const x = headers == forwarded_headers::x_forwarded;
  CHECK(text(origin.shown(x ? known_field::forwarded : known_field::x_forwarded_for)).empty());
  CHECK(text(origin.shown(known_field::x_forwarded_scheme)).empty());
  CHECK(text(origin.shown(known_field::host)) == "as sent");
  CHECK(text(origin.shown(known_field::forwarding)) == (policy.trusted.contain(peer) ? "as sent" : ""));
  return {origin.client().address + (port.empty() ? "" : " " + port),
          origin.secure(),
          text(origin.shown(x ? known_field::x_forwarded_for : known_field::forwarded)),
          text(origin.shown(known_field::x_forwarded_host)),
          text(origin.shown(known_field::x_forwarded_port)),
          text(origin.shown(known_field::x_forwarded_proto))};
}

std::string client(fields_of_test const& sent, forwarded_headers headers = forwarded_headers::x_forwarded) {
  return read(sent, headers).client;
}

}  // namespace

TEST_CASE("the client is the last address that is not trusted") {
  CHECK(client({}) == "10.0.0.1 4711");
  for (auto const& each : fields_of_test{
           {"192.0.2.1", "192.0.2.1"},
           {"203.0.113.9, 192.0.2.1", "192.0.2.1"},
           {"203.0.113.9, 192.0.2.1, 10.0.0.2", "192.0.2.1"},
           {"192.0.2.1,10.0.0.3 ,\t10.0.0.2", "192.0.2.1"},
           {", ,192.0.2.1,, ,10.0.0.2,,", "192.0.2.1"},
           {"10.0.0.4, 10.0.0.3, 10.0.0.2", "10.0.0.4"},  // all are trusted
           {"192.0.2.1:1234", "192.0.2.1 1234"},
           {"2001:DB8::0:1", "2001:db8::1"},
           {"[2001:db8::1]", "2001:db8::1"},
           {"[2001:db8::1]:80", "2001:db8::1 80"},
           {"::ffff:192.0.2.1", "192.0.2.1"},
           {"192.0.2.1:99999", "192.0.2.1"},
           {"", "10.0.0.1 4711"},
           {"unknown", "10.0.0.1 4711"},
           {"192.0.2.1, unknown", "10.0.0.1 4711"},
           {"192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"},
           {"192.0.2.1;, 10.0.0.2", "10.0.0.2"},
           {"192.0.2.256", "10.0.0.1 4711"},
           {"[2001:db8::1", "10.0.0.1 4711"},
           {"[2001:db8::1]x", "10.0.0.1 4711"},
           {"\"192.0.2.1\"", "10.0.0.1 4711"}}) {
    CHECK_MESSAGE(client({{"X-Forwarded-For", each.first}}) == each.second, each.first);
  }
  CHECK(client({{"x-forwarded-for", "203.0.113.9"}, {"X-FORWARDED-FOR", "192.0.2.1"}}) == "192.0.2.1");
  CHECK(client({{"X_Forwarded_For", "192.0.2.1"}}) == "192.0.2.1");
  CHECK(client({{"Forwarded", "for=192.0.2.1"}}) == "10.0.0.1 4711");
}

TEST_CASE("Forwarded is read as RFC 7239 describes it") {
  for (auto const& each : fields_of_test{
           {"for=192.0.2.1", "192.0.2.1"},
           {"For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17 4711"},
           {"for=192.0.2.43;proto=http;by=203.0.113.43", "192.0.2.43"},
           {"proto=http; for=192.0.2.43 ;by=203.0.113.43;", "192.0.2.43"},
           {"for=203.0.113.9, for=192.0.2.43, for=10.0.0.2", "192.0.2.43"},
           {"for=\"a,b\", for=192.0.2.43", "192.0.2.43"},
           {"for=\"x\\\", for=192.0.2.43", "192.0.2.43"},
           {"for=192.0.2.43;by=\"a\\\", for=192.0.2.9\"", "192.0.2.43"},
           {"for=192.0.2.43;host=\"a, for=192.0.2.9\", for=10.0.0.2", "192.0.2.43"},
           {"for=192.0.2.43;x=y\"", "10.0.0.1 4711"},
           {"for=\", for=192.0.2.43", "192.0.2.43"},
           {"garbage, for=192.0.2.43", "192.0.2.43"},
           {"for=192.0.2.43, for=unknown", "10.0.0.1 4711"},
           {"for=192.0.2.43, for=_hidden, for=10.0.0.2", "10.0.0.2"},
           {"for=192.0.2.43, proto=https", "10.0.0.1 4711"},
           {"for=192.0.2.43, garbage, for=10.0.0.2", "10.0.0.2"},
           {"for=192.0.2.43;for=192.0.2.44", "10.0.0.1 4711"},
           {"for=\"192.0.2.43", "10.0.0.1 4711"},
           {"for=192.0.2.43:_port", "192.0.2.43"},
           {"for=192.0.2.43;host=\"a;for=1\"", "192.0.2.43"}}) {
    CHECK_MESSAGE(client({{"Forwarded", each.first}}, forwarded_headers::forwarded) == each.second, each.first);
  }
  CHECK(client({{"X-Forwarded-For", "192.0.2.1"}}, forwarded_headers::forwarded) == "10.0.0.1 4711");
  seen const all = read({{"Forwarded", "for=203.0.113.9;proto=http"}, {"Forwarded", "for=192.0.2.43;proto=https, for=10.0.0.2;proto=http"}},
                        forwarded_headers::forwarded);
  CHECK(all.secure);
  CHECK(all.list == "for=192.0.2.43;proto=https, for=10.0.0.2;proto=http");
  CHECK(read({{"Forwarded", "proto=https"}}, forwarded_headers::forwarded).secure);
}

TEST_CASE("scheme, host and port are those of the client's element") {
  seen const all = read({{"X-Forwarded-For", "203.0.113.9, 192.0.2.1, 10.0.0.2"},
                         {"X-Forwarded-Proto", "ftp, HTTPS, http"},
                         {"X-Forwarded-Host", "evil.example, shop.example:8443, inside"},
                         {"X-Forwarded-Port", "1, 8443, 80"}});
  CHECK(all.client == "192.0.2.1");
  CHECK(all.list == "192.0.2.1, 10.0.0.2");
  CHECK(all.secure);
  CHECK(all.scheme == "https");
  CHECK(all.host == "shop.example:8443");
  CHECK(all.port == "8443");
  seen const single = read({{"X-Forwarded-For", "192.0.2.1, 10.0.0.2"}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", "a"}});
  CHECK((single.secure && single.host == "a" && single.port.empty()));
  CHECK(read({{"X-Forwarded-Proto", "http, https"}}).secure);
  CHECK(!read({{"X-Forwarded-Proto", "http"}}, forwarded_headers::x_forwarded, "10.0.0.1", true).secure);
  for (char const* invalid : {"", "gopher", "https x", "on"}) {
    seen const kept = read({{"X-Forwarded-Proto", invalid}, {"X-Forwarded-Host", "a b"}, {"X-Forwarded-Port", "x"}},
                           forwarded_headers::x_forwarded, "10.0.0.1", true);
    CHECK((kept.secure && kept.scheme.empty() && kept.host.empty() && kept.port.empty()));
  }
}

TEST_CASE("what an untrusted peer says counts for nothing, and reaches no application") {
  for (auto const headers : {forwarded_headers::x_forwarded, forwarded_headers::forwarded}) {
    seen const all = read({{"X-Forwarded-For", "192.0.2.1"}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", "x"}, {"X-Forwarded-Port", "1"},
                           {"Forwarded", "for=192.0.2.1;proto=https"}},
                          headers, "203.0.113.9");
    CHECK(all.client == "203.0.113.9 4711");
    CHECK(!all.secure);
    CHECK((all.list + all.host + all.port + all.scheme).empty());
  }
}

namespace {

// A client, which may forge anything, and the proxies behind it, each of which appends what it knows.
struct journey {
  explicit journey(unsigned seed) : random(seed) {}

  std::size_t below(std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random); }

  std::string address(bool trusted) {
    if (trusted) return "10." + std::to_string(below(256)) + ".1." + std::to_string(1 + below(254));
    return below(2) == 0 ? "198.51.100." + std::to_string(below(256)) : "2001:db8::" + std::to_string(1 + below(9));
  }

  std::string forged(bool rfc) {
    static constexpr std::string_view pieces[] = {"192.0.2.66", "10.0.0.66", "for=", "proto=https", "https", "http", ",", ", ", ";", "\"", "\\",
                                                  "=", "[", "]", ":80", "unknown", " ", "for=10.0.0.66", "2001:db8::66", "\t", "é"};
    std::string made;
    for (std::size_t left = below(10); left != 0; --left) made += pieces[below(std::size(pieces))];
    if (rfc && below(3) == 0) made += "\"";
    return made;
  }

  std::string node(std::string const& address, bool rfc) {
    bool const six = address.find(':') != address.npos;
    std::string const port = below(3) == 0 ? ":" + std::to_string(1 + below(65535)) : "";
    std::string const text = six && (rfc || !port.empty()) ? "[" + address + "]" + port : address + port;
    return rfc && (six || !port.empty() || below(2) == 0) ? "\"" + text + "\"" : text;
  }

  // Appends to the last of the fields of a name, or adds a field.
  void append(fields_of_test& to, std::string const& name, std::string const& element) {
    auto const last = std::find_if(to.rbegin(), to.rend(), [&](auto const& one) { return one.first == name; });
    if (last == to.rend() || below(4) == 0) {
      to.emplace_back(name, element);
    } else {
      last->second += (below(2) == 0 ? "," : ", ") + element;
    }
  }

  std::mt19937 random;
};

}  // namespace

TEST_CASE("whatever a client sends, it is found behind any number of trusted proxies, with its scheme") {
  for (unsigned round = 0; round < 20000; ++round) {
    CAPTURE(round);
    journey all(round);
    bool const rfc = all.below(2) == 0;
    fields_of_test fields;
    for (char const* name : {"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Ssl"}) {
      for (std::size_t left = all.below(3); left != 0; --left) fields.emplace_back(name, all.forged(rfc));
    }
    std::string const origin = all.address(false);
    bool const secure = all.below(2) == 0;
    std::string from = origin;
    std::string scheme = secure ? "https" : "http";
    for (std::size_t proxies = 1 + all.below(4); proxies != 0; --proxies) {
      if (rfc) {
        all.append(fields, "Forwarded", "for=" + all.node(from, true) + ";proto=" + scheme);
      } else {
        all.append(fields, "X-Forwarded-For", all.node(from, false));
        all.append(fields, "X-Forwarded-Proto", scheme);
      }
      from = all.address(true);
      scheme = all.below(2) == 0 ? "https" : "http";
    }
    seen const found = read(fields, rfc ? forwarded_headers::forwarded : forwarded_headers::x_forwarded, from, scheme == "https");
    REQUIRE(found.client.substr(0, found.client.find(' ')) == origin);
    REQUIRE(found.secure == secure);
    for (std::string_view const forged : {"192.0.2.66", "10.0.0.66", "2001:db8::66"}) REQUIRE(found.list.find(forged) == found.list.npos);
  }
}

TEST_CASE("random fields change nothing without trust, and never more than the client") {
  for (unsigned round = 0; round < 5000; ++round) {
    journey all(round);
    fields_of_test fields;
    for (char const* name : {"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Forwarded-Port"}) fields.emplace_back(name, all.forged(true));
    auto const headers = all.below(2) == 0 ? forwarded_headers::forwarded : forwarded_headers::x_forwarded;
    CHECK(read(fields, headers, "203.0.113.9", true).client == "203.0.113.9 4711");
    CHECK(read(fields, headers, "203.0.113.9", true).secure);
    std::string const client = read(fields, headers).client;
    CHECK(server::ip_address::parse(client.substr(0, client.find(' '))).has_value());
  }
}
