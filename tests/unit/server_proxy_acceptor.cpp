// SPDX-License-Identifier: MIT

#include "net/proxy_acceptor.hpp"

#include "../support/await.hpp"
#include "../support/captured_log.hpp"
#include "../support/http_server_test.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using server::exchange;

namespace {

constexpr std::string_view header = "PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n";
constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

server::options proxied_settings(std::vector<std::string> trusted = {"127.0.0.0/8"}) {
  server::options chosen = patient_settings();
  chosen.binds.front().proxy_protocol = true;
  chosen.trusted_proxies = std::move(trusted);
  return chosen;
}

// Answers with the client of the request.
void tell_client(exchange::reply const& each) {
  server::endpoint const& peer = exchange::of(each).peer();
  answer(each, peer.address + " " + peer.port + (peer.trusted ? " trusted" : ""));
}

struct fixture {
  explicit fixture(server::options const& chosen = proxied_settings()) : http(requests, chosen) {}
  desk requests;
  serving_threads<desk> serving{requests, 1, tell_client};
  running_http_server http;
};

}  // namespace

TEST_CASE("the client is the one that the header of a trusted proxy names, however the bytes are split") {
  fixture at;
  std::string const all = std::string(header) + std::string(request);
  for (std::size_t split = 1; split < all.size(); ++split) {
    client asking(at.http.port());
    REQUIRE(asking.send(all.substr(0, split)));
    REQUIRE(asking.send(all.substr(split)));
    CHECK(asking.read_response().body == "192.0.2.1 56789");
    REQUIRE(asking.send(request));
    CHECK(asking.read_response().body == "192.0.2.1 56789");
  }
}

TEST_CASE("a header that names no client leaves the proxy as the client") {
  fixture at;
  client asking(at.http.port());
  REQUIRE(asking.send("PROXY UNKNOWN\r\n" + std::string(request)));
  std::string const body = asking.read_response().body;
  CHECK(body.starts_with("127.0.0.1 "));
  CHECK(body.ends_with(" trusted"));
}

TEST_CASE("the client that is named is trusted if its own address is") {
  fixture at(proxied_settings({"127.0.0.1", "192.0.2.0/24"}));
  client asking(at.http.port());
  REQUIRE(asking.send(std::string(header) + std::string(request)));
  CHECK(asking.read_response().body == "192.0.2.1 56789 trusted");
}

TEST_CASE("a trusted proxy without a header gets 400, and the log says why") {
  captured_log log;
  fixture at;
  for (std::string_view const bytes : {request, std::string_view("PROXY TCP4 1 2 3 4\r\n"), std::string_view("\r\n\r\nGET")}) {
    client asking(at.http.port());
    REQUIRE(asking.send(bytes));
    CHECK(asking.read_response().status == 400);
    CHECK(asking.ended());
  }
  CHECK(at.requests.refusals() == 3);
  CHECK(log.text().find(": 400, a trusted proxy must send a PROXY protocol header: ") != std::string::npos);
  CHECK(log.text().find("127.0.0.1:") != std::string::npos);
  await([&] { return at.http.get().connections() == 0; });
}

TEST_CASE("a client that is not trusted is served without a header, and gets 400 with one") {
  captured_log log;
  fixture at(proxied_settings({"192.0.2.0/24"}));
  client plain(at.http.port());
  REQUIRE(plain.send(request));
  CHECK(plain.read_response().body.starts_with("127.0.0.1 "));
  std::string const second("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdd\xd5\1\xbb", 28);
  for (std::string const& bytes : {std::string(header), second}) {
    client forging(at.http.port());
    REQUIRE(forging.send(bytes + std::string(request)));
    CHECK(forging.read_response().status == 400);
  }
  std::string const lines = log.text();
  std::string const reason = "400, the client sends the PROXY protocol and is not in trusted_proxies, or the address has no proxy_protocol";
  CHECK(lines.find(reason) != std::string::npos);
  CHECK(lines.find(reason) != lines.rfind(reason));
}

TEST_CASE("a header that does not arrive in time ends the connection") {
  captured_log log;
  server::options chosen = proxied_settings();
  chosen.connection.header_timeout = std::chrono::milliseconds(1);
  fixture at(chosen);
  client silent(at.http.port());
  client slow(at.http.port());
  REQUIRE(slow.send(header.substr(0, 10)));
  CHECK(silent.ended());
  CHECK(slow.ended());
  CHECK(log.text().find("the PROXY protocol header did not arrive within header_timeout") != std::string::npos);
  await([&] { return at.http.get().connections() == 0 && at.http.get().live() == 0; });
}

namespace {

// A server and a proxy that has connected; the test is the I/O thread, which may be late.
class late_server final : public server::request_handler {
public:
  late_server() {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_) == 0);
    here_.proxy_protocol = true;
    REQUIRE(http_.admit());
    http_.accepted(ends_[0], {"127.0.0.1", "1"}, here_);
  }
  ~late_server() {
    ::close(ends_[1]);
    http_.close_connections();
    io();
    CHECK(http_.connections() == 0);
    CHECK(http_.live() == 0);
  }

  void send(std::string_view bytes) const { REQUIRE(::send(ends_[1], bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size())); }
  void io() {
    while (http_.first_thread().context().poll_one() != 0) {}
    http_.first_thread().context().restart();
  }
  void reach_deadline() { http_.first_thread().deadlines().run(http_.first_thread().deadlines().next()); }
  // What the server has sent, or an empty string; "end" if it has ended the connection.
  [[nodiscard]] std::string answers() {
    io();
    char bytes[4096];
    ssize_t const got = ::recv(ends_[1], bytes, sizeof bytes, MSG_DONTWAIT);
    return got == 0 ? "end" : std::string(bytes, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  }

private:
  void handle(server::exchange::reply&& reply) noexcept override { tell_client(reply); }

  int ends_[2]{};
  server::endpoint here_{"127.0.0.1", "80"};
  server::http_server http_{proxied_settings(), *this};
};

}  // namespace

TEST_CASE("what has arrived of a header when its time is over came in time: the I/O thread may not have run") {
  captured_log log;
  late_server late;
  SUBCASE("all of it, with a request") {
    late.send(header.substr(0, 10));
    late.io();
    late.send(std::string(header.substr(10)) + std::string(request));
    late.reach_deadline();
    CHECK(late.answers().ends_with("192.0.2.1 56789"));
    CHECK(log.text().empty());
  }
  SUBCASE("not all of it") {
    late.send(header.substr(0, 10));
    late.io();
    late.send(header.substr(10, 10));
    late.reach_deadline();
    CHECK(late.answers() == "end");
    CHECK(log.text().find("did not arrive within header_timeout") != std::string::npos);
  }
  SUBCASE("something else") {
    late.send(request);
    late.reach_deadline();
    CHECK(late.answers().starts_with("HTTP/1.1 400 "));
  }
}

TEST_CASE("a proxy that only connects leaves no line in the log") {
  captured_log log;
  fixture at;
  {
    client checking(at.http.port());
    await([&] { return at.http.get().connections() == 1; });
  }
  await([&] { return at.http.get().connections() == 0 && at.http.get().live() == 0; });
  CHECK(log.text().empty());
}

TEST_CASE("a connection whose header is awaited counts as live, and may still be served while the server drains") {
  fixture at;
  client late(at.http.port());
  REQUIRE(late.send(header.substr(0, 10)));
  await([&] { return at.http.get().live() == 1; });
  at.http.get().stop_accepting();
  at.http.get().begin_drain();
  REQUIRE(late.send(std::string(header.substr(10)) + std::string(request)));
  CHECK(late.read_response().body == "192.0.2.1 56789");
  CHECK(late.ended());
}

TEST_CASE("a server that drains or closes ends connections whose header does not come") {
  captured_log log;
  for (bool const closes : {false, true}) {
    fixture at;
    client silent(at.http.port());
    await([&] { return at.http.get().live() == 1; });
    at.http.get().stop_accepting();
    closes ? at.http.get().close_connections() : at.http.get().begin_drain();
    CHECK(silent.ended());
    await([&] { return at.http.get().connections() == 0 && at.http.get().live() == 0; });
  }
  CHECK(log.text().empty());
}

TEST_CASE("a server that is destroyed gives up connections whose header it awaits") {
  int const before = open_descriptors();
  {
    fixture at;
    client waiting(at.http.port());
    REQUIRE(waiting.send(header.substr(0, 10)));
    await([&] { return at.http.get().live() == 1; });
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("connections whose header is awaited count against max_connections, and make room when they end") {
  server::options chosen = proxied_settings();
  chosen.connection.max_connections = 2;
  fixture at(chosen);
  client first(at.http.port());
  client second(at.http.port());
  await([&] { return at.http.get().connections() == 2; });
  client third(at.http.port());
  REQUIRE(third.send(std::string(header) + std::string(request)));
  first.close();
  CHECK(third.read_response().body == "192.0.2.1 56789");
}
