// SPDX-License-Identifier: MIT
//
// TLS over a connection in memory, which reads and writes as little as a transport may.

#include "net/tls_transport.hpp"

#include "../support/tls_wire.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>

using namespace tls_test;

TEST_CASE("a handshake, then bytes both ways, in each version") {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    wire one({.least = version, .most = version});
    one.run();
    REQUIRE(one.peer.established());
    CHECK(one.ours->application_protocol() == "http/1.1");
    CHECK(one.result.succeeded == 1);
    CHECK(SSL_version(one.peer.ssl()) == version);
    one.peer.write("question");
    one.to_send = "answer";
    one.run();
    CHECK(one.received == "question");
    CHECK(one.peer.received() == "answer");
    one.ours->close(transport::ending::orderly);
    one.run();
    CHECK(one.peer.ended());
  }
}

TEST_CASE("every byte arrives alone") {
  wire one;
  one.carried_at_once = 1;
  one.read_size = 1;
  one.run();
  REQUIRE(one.peer.established());
  std::string const bytes(300, 'x');
  one.peer.write(bytes);
  one.to_send = bytes;
  one.run();
  CHECK(one.received == bytes);
  CHECK(one.peer.received() == bytes);
}

TEST_CASE("whatever the transport below reads, writes or wants first, no byte is lost and no wait is endless") {
  for (std::uint32_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    stress::dice chance(seed);
    faults met;
    if (chance.once_in(2)) met.part = 1 + chance.below(4);
    if (chance.once_in(2)) met.blocked = 2 + chance.below(6);
    if (chance.once_in(2)) met.crossed = 2 + chance.below(6);
    int const version = chance.once_in(2) ? TLS1_2_VERSION : TLS1_3_VERSION;
    wire one({.least = version, .most = version}, met, seed, 1 + chance.below(40000));
    one.read_size = 1 + chance.below(20000);
    one.carried_at_once = 1 + chance.below(40000);
    one.run();
    REQUIRE(one.peer.established());
    std::string const there = random_bytes(chance, chance.below(100000));
    std::string const back = random_bytes(chance, chance.below(200000));
    if (!there.empty()) one.peer.write(there);
    one.to_send = back;
    one.run();
    // Not with ==, whose failure prints all of it.
    CHECK(one.received.compare(there) == 0);
    CHECK(one.peer.received().compare(back) == 0);
    CHECK(one.to_send.empty());
    one.ours->shutdown_write();
    one.peer.end_stream();
    one.run();
    CHECK(one.over == io_result::state::end);
  }
}

TEST_CASE("bytes count as written only when all that were encrypted with them are sent") {
  wire one({}, {}, 1, 8192);
  one.run();
  one.client_reads = false;
  std::string const bytes(50000, 'y');
  one.to_send = bytes;
  one.run();
  CHECK(one.to_send.size() == bytes.size());
  std::uint64_t const before = one.ours->unacknowledged();
  // The client takes some: less of what counts as unwritten is on its way, as a slow client's progress is seen.
  one.carried_at_once = 4096;
  one.client_reads = true;
  one.turn();
  CHECK(one.ours->unacknowledged() <= before);
  one.run();
  CHECK(one.to_send.empty());
  CHECK(one.peer.received() == bytes);
}

TEST_CASE("a client that is lost ends reading and writing") {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    wire one({}, {.part = 2, .reset = 8}, seed, 4096);
    one.to_send = std::string(20000, 'z');
    one.run();
    if (!one.over) continue;
    CHECK(*one.over == io_result::state::failed);
    CHECK(one.ours->read_some(one.to_send).failed());
  }
}

TEST_CASE("a reset is visible to the client: it has no orderly end") {
  wire one;
  one.run();
  one.ours->close(transport::ending::reset);
  one.run();
  CHECK(!one.peer.ended());
}

TEST_CASE("plain HTTP gets one readable response") {
  for (char const* request : {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /x HTTP/1.1\r\n\r\n", "HEAD / HTTP/1.0\r\n\r\n",
                              "CONNECT a:1 HTTP/1.1\r\n\r\n"}) {
    CAPTURE(request);
    wire one;
    one.speaks_tls = false;
    one.raw(request);
    one.run();
    CHECK(one.over == io_result::state::failed);
    CHECK(one.result.failed == tls::failure::plain_http);
    CHECK(one.plain.starts_with("HTTP/1.1 400 "));
    CHECK(one.plain.find("https://") != std::string::npos);
  }
}

TEST_CASE("garbage ends the connection") {
  stress::dice chance(7);
  for (int n = 0; n < 500; ++n) {
    wire one;
    one.speaks_tls = false;
    std::string bytes = random_bytes(chance, 1 + chance.below(600));
    // Half of it looks like the header of a record.
    if (chance.once_in(2)) bytes.replace(0, 3, "\x16\x03\x01");
    one.raw(bytes);
    one.run();
    one.end();
    one.run();
    CHECK(one.over == io_result::state::failed);
    CHECK(one.result.succeeded == 0);
    CHECK(one.result.failed.has_value());
  }
}

TEST_CASE("a handshake that ends early is a client that has left, wherever it ends") {
  client probe;
  probe.step();
  std::string const hello = probe.take_output();
  for (std::size_t length = 0; length < hello.size(); ++length) {
    CAPTURE(length);
    wire one;
    one.speaks_tls = false;
    one.raw(std::string_view(hello).substr(0, length));
    one.run();
    CHECK(!one.over);
    one.end();
    one.run();
    CHECK(one.over == io_result::state::failed);
    CAPTURE(one.result.words);
    CHECK(one.result.failed == tls::failure::left);
  }
}

TEST_CASE("a changed handshake never becomes a session in which the two disagree") {
  client probe;
  probe.step();
  std::string const hello = probe.take_output();
  stress::dice chance(11);
  for (int n = 0; n < 400; ++n) {
    wire one;
    one.speaks_tls = false;
    std::string changed = hello;
    changed[chance.below(static_cast<std::uint32_t>(changed.size()))] ^= static_cast<char>(1 + chance.below(255));
    one.raw(changed);
    one.run();
    one.end();
    one.run();
    CHECK(one.result.succeeded == 0);
    CHECK(one.over == io_result::state::failed);
  }
}

TEST_CASE("a changed or cut record ends the session") {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    wire one({.least = version, .most = version});
    one.run();
    REQUIRE(one.peer.established());
    one.peer.write("question");
    std::string record = one.peer.take_output();
    record.back() ^= 1;
    one.raw(record);
    one.run();
    CHECK(one.received.empty());
    CHECK(one.over == io_result::state::failed);
    CHECK(one.peer.failed());  // by an alert, which says why
    one.to_send = "answer";
    iovec const piece{one.to_send.data(), one.to_send.size()};
    CHECK(one.ours->write_some({&piece, 1}).failed());
  }
}

TEST_CASE("a session that ends without an orderly end has ended") {
  wire one;
  one.run();
  one.end();
  one.run();
  CHECK(one.over == io_result::state::end);
}

TEST_CASE("an orderly end behind bytes is reported after them, though no descriptor becomes readable") {
  wire one;
  one.run();
  one.peer.write("last");
  one.peer.end_stream();
  one.run();
  CHECK(one.received == "last");
  CHECK(one.over == io_result::state::end);
}
