// SPDX-License-Identifier: MIT
//
// An HTTP server that runs out of memory: whichever allocation fails, no request is lost and the server keeps serving.

#include "net/http_server.hpp"

#include "../support/await.hpp"
#include "../support/captured_log.hpp"
#include "../support/failing_allocations.hpp"
#include "../support/http_server_test.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace server = kino::server;
using namespace allocation_test;
using namespace http_server_test;

namespace {

struct message {
  std::string request;
  std::string body;  // of the response
};

std::string post(std::string const& body, char const* target = "/") {
  return std::string("POST ") + target + " HTTP/1.1\r\nHost: x\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::vector<std::vector<message>> conversations() {
  std::string const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  std::string const large = "GET /large HTTP/1.1\r\nHost: a.name.that.is.long.enough.to.be.allocated\r\n\r\n";
  std::string const stream = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";
  std::string const chunked =
      "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nabcde\r\n0\r\nX-Check: some value\r\nX-Other: other\r\n\r\n";
  std::string const medium(20'000, 'm');
  std::string const much(150'000, 'b');
  std::string const all_large(200'000, 'l');
  std::vector<std::vector<message>> all;
  all.push_back({{get, ""}, {get, ""}, {stream, "sss"}, {get, ""}});
  all.push_back({{post("small"), "small"}, {post(medium), medium}, {post(much), much}, {get, ""}});
  all.push_back({{chunked, "abcde"}, {get, ""}});
  // Pipelined: more than the server reads ahead.
  std::vector<message> pipeline(40, {get, ""});
  for (std::size_t i = 0; i < pipeline.size(); i += 8) pipeline[i] = {large, all_large};
  all.push_back(pipeline);
  return all;
}

// Sends all requests, those of a conversation at once. Returns the number of wrong responses: missing ones, and those that
// are neither correct nor an error that ends the connection.
int converse(std::uint16_t port, std::vector<std::vector<message>> const& all) {
  int wrong = 0;
  std::vector<client> clients(all.size());
  std::vector<std::thread> senders;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!clients[i].connect(port)) return 1'000'000;
    senders.emplace_back([&, i] {
      exempt = true;
      for (message const& each : all[i]) {
        if (!clients[i].send(each.request)) break;
      }
    });
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    client& asking = clients[i];
    for (message const& each : all[i]) {
      response got = asking.read_response();
      if (got.status == 100) got = asking.read_response();
      if (got.status == 200 && got.body == each.body) continue;
      wrong += got.status != 0 && got.status != 500 && got.status != 503;
      wrong += !asking.ended();
      break;
    }
    wrong += asking.waited_in_vain();
  }
  for (client& each : clients) each.half_close();
  for (std::thread& each : senders) each.join();
  return wrong;
}

}  // namespace

TEST_CASE("whichever allocation fails, no request is lost and the server continues to serve") {
  exempt = true;
  captured_log log;
  INFO(log);
  auto const all = conversations();
  std::uint32_t const allocations = fail_each_allocation(
      patient_settings(), [&](std::uint16_t port) { CHECK(converse(port, all) == 0); },
      [](std::uint16_t port) {
        client asking(port);
        REQUIRE(asking.send(post("still here")));
        CHECK(asking.read_response().body == "still here");
      });
  CHECK(allocations > 20);  // the server's allocations have been failed
}

TEST_CASE("whichever allocation fails, no request from a proxy is lost") {
  exempt = true;
  captured_log log;
  INFO(log);
  server::options settings = patient_settings();
  settings.trusted_proxies = {"127.0.0.1", "192.0.2.0/24"};
  settings.binds.front().proxy_protocol = true;
  std::string const head = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.name.that.is.long.enough\r\n"
                           "X-Forwarded-For: 2001:db8:1111:2222:3333:4444:5555:6666, 192.0.2.7\r\n\r\n";
  std::string const proxied = "PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n" + head;
  std::vector<std::vector<message>> const all(2, {{proxied, ""}, {head, ""}});
  std::uint32_t const allocations = fail_each_allocation(
      settings, [&](std::uint16_t port) { CHECK(converse(port, all) == 0); },
      [&](std::uint16_t port) {
        client asking(port);
        REQUIRE(asking.send(proxied));
        CHECK(asking.read_response().status == 200);
      });
  CHECK(allocations > 10);
}

TEST_CASE("a server that cannot start for lack of memory leaks no descriptor") {
  exempt = true;
  captured_log log;
  INFO(log);
  int const before = open_descriptors();
  desk requests;
  server::options const settings = patient_settings();
  bool made = false;
  for (std::uint32_t n = 1; !made; ++n) {
    try {
      server::http_server http(settings, requests);
      exempt = false;
      fail_at(n);
      http.listen();
      http.start();
      made = end_shortage();
    } catch (std::exception const&) {
    }
    fail_at(0);
    exempt = true;
    REQUIRE(open_descriptors() == before);
  }
}

TEST_CASE("whichever allocation fails, requests that no worker takes expire, in the queue and before it") {
  exempt = true;
  captured_log log;
  INFO(log);
  bool all_failed = false;
  for (std::uint32_t n = 1; !all_failed; ++n) {
    CAPTURE(n);
    queueing_handler requests(std::chrono::milliseconds(1));
    std::vector<client> clients(3);
    fail_at(n);
    for (client& each : clients) {
      REQUIRE(each.connect(requests.port()));
      static_cast<void>(each.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    for (client& each : clients) {
      int const status = each.read_response().status;
      CHECK((status == 503 || status == 0));
      CHECK(!each.waited_in_vain());
    }
    all_failed = end_shortage();
  }
}

TEST_CASE("if every n-th allocation fails, every request gets a response or the end of its connection") {
  exempt = true;
  captured_log log;
  INFO(log);
  auto const all = conversations();
  queueing_handler requests;
  {
    serving_threads const serving(requests, 1, serve_or_drop);
    for (std::uint32_t each :
         {2u, 3u, 5u, 7u, 11u, 17u, 23u, 31u, 43u, 57u, 71u, 89u, 101u, 127u, 151u, 211u, 307u, 401u, 503u, 1009u}) {
      CAPTURE(each);
      fail_at(each, each);
      CHECK(converse(requests.port(), all) == 0);
    }
    fail_at(0);
    CHECK(converse(requests.port(), all) == 0);
    client asking(requests.port());
    REQUIRE(asking.send(post("still here")));
    CHECK(asking.read_response().body == "still here");
  }
  await([&] { return requests.http().connections() == 0; });
}
