// SPDX-License-Identifier: MIT
//
// Connections: read-ahead of requests, the time of hand-over, and continued reading.

#include "net/connection.hpp"

#include "net/io_thread.hpp"

#include "../support/await.hpp"
#include "../support/http_server_test.hpp"
#include "../support/private_access.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <asio/post.hpp>

#include <array>
#include <atomic>
#include <cstdio>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using server::exchange;

KINO_TEST_REACH(threads_of, server::http_server, threads_)
KINO_TEST_REACH(connections_of, server::io_thread, connections_)
KINO_TEST_REACH(next_of, server::connection, next_)
KINO_TEST_REACH(protocol_of, server::connection, protocol_)
KINO_TEST_REACH(pipeline_of, server::http1_protocol, pipeline_)
KINO_TEST_REACH(unparsed_of, server::http1_protocol, unparsed_)

namespace {

constexpr std::size_t depth = server::tuning::pipeline_depth;

std::string get(std::size_t number) {
  return "GET /" + std::to_string(number) + " HTTP/1.1\r\nHost: x\r\n\r\n";
}

std::string post(std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
}

std::string_view target_of(exchange::reply const& reply) { return exchange::of(reply).head().target(); }

server::http1_protocol& http1_of(server::connection& of) { return static_cast<server::http1_protocol&>(*protocol_of(of)); }

// Asks the one I/O thread about all its connections.
std::size_t sum_of_unsent(running_http_server& http, std::size_t& connections) {
  std::promise<std::size_t> sum;
  server::io_thread& thread = *threads_of(http.get()).front();
  asio::post(thread.context(), [&] {
    std::size_t total = connections = 0;
    for (server::connection* one = connections_of(thread); one; one = next_of(*one)) {
      total += pipeline_of(http1_of(*one)).now().unsent;
      ++connections;
    }
    sum.set_value(total);
  });
  return sum.get_future().get();
}

}  // namespace

TEST_CASE("requests in one write are all answered, however many and however late the first answer") {
  for (std::size_t count : {1ul, depth - 1, depth, depth + 1, 2 * depth, 2 * depth + 1, 5 * depth}) {
    CAPTURE(count);
    desk requests;
    running_http_server http(requests);
    client asking(http.port());
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += get(i);
    REQUIRE(asking.send(all));
    for (std::size_t i = 0; i < count; ++i) {
      exchange::reply const each = requests.next();
      CHECK(target_of(each) == "/" + std::to_string(i));
      answer(each, std::to_string(i));
    }
    for (std::size_t i = 0; i < count; ++i) CHECK(asking.read_response().body == std::to_string(i));
  }
}

TEST_CASE("a body that comes later is read when the line is full without it") {
  for (std::size_t before : {depth - 2, depth - 1, depth, depth + 1, 2 * depth - 1}) {
    for (std::size_t length : {1ul, 5000ul, 300'000ul}) {
      CAPTURE(before);
      CAPTURE(length);
      desk requests;
      running_http_server http(requests);
      client asking(http.port());
      std::string all;
      for (std::size_t i = 0; i < before; ++i) all += get(i);
      std::string const body(length, 'b');
      REQUIRE(asking.send(all + post(body)));
      exchange::reply first = requests.next();
      std::thread sender([&] { CHECK(asking.send(body)); });
      answer(first, "0");
      first = {};
      for (std::size_t i = 1; i < before; ++i) answer(requests.next(), std::to_string(i));
      exchange::reply const last = requests.next();
      CHECK(read_body(exchange::of(last)) == body);
      answer(last, "end");
      sender.join();
      for (std::size_t i = 0; i < before; ++i) CHECK(asking.read_response().body == std::to_string(i));
      CHECK(asking.read_response().body == "end");
    }
  }
}

TEST_CASE("a streamed body that waits for its turn stops reading, and its worker resumes it") {
  desk requests;
  running_http_server http(requests, streaming_settings());
  client asking(http.port());
  std::string const body(4 * server::tuning::pipe_capacity, 'b');
  std::thread sender([&] { CHECK(asking.send(get(0) + post(body) + body + get(2))); });
  exchange::reply first = requests.next();
  CHECK(requests.handed_over() == 1);
  answer(first, "0");
  first = {};
  exchange::reply second = requests.next();
  CHECK(read_body(exchange::of(second)) == body);
  answer(second, "1");
  second = {};
  answer(requests.next(), "2");
  sender.join();
  for (char const* each : {"0", "1", "2"}) CHECK(asking.read_response().body == each);
}

TEST_CASE("a streamed body that its handler does not read does not stop the request behind it") {
  desk requests;
  running_http_server http(requests, streaming_settings());
  client asking(http.port());
  std::string const body(8 * server::tuning::pipe_capacity, 'b');
  std::thread sender([&] { CHECK(asking.send(post(body) + body + get(1))); });
  answer(requests.next(), "0");
  answer(requests.next(), "1");
  sender.join();
  CHECK(asking.read_response().body == "0");
  CHECK(asking.read_response().body == "1");
}

TEST_CASE("requests of one connection are handled one at a time, whatever their method") {
  desk requests;
  running_http_server http(requests);
  client asking(http.port());
  REQUIRE(asking.send(post("slow") + "slow" + post("second") + "second" + get(2) + get(3)));
  for (int i = 0; i < 4; ++i) {
    exchange::reply each = requests.next();
    // Another connection's request shows that the I/O thread has nothing left to hand over.
    client other(http.port());
    REQUIRE(other.send(get(100)));
    exchange::reply const others = requests.next();
    CHECK(target_of(others) == "/100");
    answer(others, "");
    CHECK(other.read_response().status == 200);
    CHECK(requests.handed_over() == 2 * (i + 1));
    // An answer that has begun is not complete.
    if (i == 2) {
      server::response_writer writer = begin_answer(each, 2);
      static_cast<void>(writer.flush());
      CHECK(requests.handed_over() == 6);
      static_cast<void>(writer.write("ab"));
      static_cast<void>(writer.finish());
    } else {
      answer(each, "ab");
    }
  }
  for (int i = 0; i < 4; ++i) CHECK(asking.read_response().body == "ab");
}

TEST_CASE("a handler that answers at once answers all that was read ahead") {
  struct quick final : server::request_handler {
    std::atomic<bool> slow{true};
    exchange::reply first;
    void handle(exchange::reply&& reply) noexcept override {
      if (target_of(reply) != "/0") return answer(reply, target_of(reply));
      first = std::move(reply);
      slow = false;
      slow.notify_one();
    }
    int status_for(kino::ending, exchange&) noexcept override { return 500; }
    void refused(int) noexcept override {}
    void quiet() noexcept override {}
  } handler;
  running_http_server http(handler);
  client asking(http.port());
  std::string all;
  for (std::size_t i = 0; i < 3 * depth; ++i) all += get(i);
  REQUIRE(asking.send(all));
  handler.slow.wait(true);
  answer(handler.first, "/0");
  handler.first = {};
  for (std::size_t i = 0; i < 3 * depth; ++i) {
    CHECK(asking.read_response().body == "/" + std::to_string(i));
  }
}

TEST_CASE("answers that clients do not read keep one answer and a buffer for each connection") {
  constexpr std::size_t connections = 20;
  std::string const large(2'000'000, 'x');
  desk requests;
  running_http_server http(requests);
  std::vector<client> clients(connections);
  std::string all;
  for (std::size_t i = 0; i < depth; ++i) all += get(i);
  for (client& each : clients) {
    REQUIRE(each.connect(http.port()));
    REQUIRE(each.send(all));
  }
  std::atomic<std::size_t> most{0};
  std::thread worker([&] {
    std::size_t open = 0;
    while (exchange::reply const each = requests.next()) {
      answer(each, large);
      most = std::max(most.load(), sum_of_unsent(http, open));
    }
  });
  // The kernel has taken what it takes: each connection has an answer that it does not.
  std::size_t open = 0;
  std::size_t unsent = 0;
  await([&] {
    std::size_t const before = std::exchange(unsent, sum_of_unsent(http, open));
    return requests.handed_over() >= static_cast<int>(connections) && before == unsent && unsent != 0;
  });
  CHECK(open == connections);
  CHECK(unsent <= connections * (large.size() + server::tuning::write_buffer));
  for (client& each : clients) {
    for (std::size_t i = 0; i < depth; ++i) CHECK(each.read_response().body.size() == large.size());
  }
  requests.close();
  worker.join();
  CHECK(most <= connections * (large.size() + server::tuning::write_buffer));
  CHECK(requests.handed_over() == static_cast<int>(connections * depth));
}

TEST_CASE("a request that waits for its turn is never handled when its connection ends before") {
  for (bool by_client : {true, false}) {
    CAPTURE(by_client);
    desk requests;
    running_http_server http(requests);
    client asking(http.port());
    REQUIRE(asking.send(get(0) + get(1) + get(2)));
    exchange::reply first = requests.next();
    if (by_client) {
      asking.reset();
      await([&] { return http.get().connections() == 0; });
    } else {
      server::response_head& last = exchange::of(first).response();
      static_cast<void>(last.start(200));
      static_cast<void>(last.add("connection", "close"));
      first.answer({.head = &last, .end = true});
      CHECK(asking.read_through("\r\n\r\n").starts_with("HTTP/1.1 200"));
      CHECK(asking.ended());
      asking.close();
    }
    first = {};
    await([&] { return http.get().connections() == 0; });
    CHECK(requests.handed_over() == 1);
  }
}

TEST_CASE("a client that ends its side in a body that waits for its turn loses only that request") {
  desk requests;
  running_http_server http(requests);
  client asking(http.port());
  std::string const much(server::tuning::pipe_capacity - 1, 'b');
  REQUIRE(asking.send(get(0) + "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + much));
  exchange::reply first = requests.next();
  asking.half_close();
  answer(first, "0");
  first = {};
  CHECK(asking.read_response().body == "0");
  CHECK(asking.ended());
  CHECK(requests.handed_over() == 1);
}

TEST_CASE("random pipelines arrive whole, in order, and one request at a time") {
  constexpr int pipelines = 8;
  desk requests;
  running_http_server http(requests, patient_settings(2));
  // Workers echo bodies; each connection names itself and its request in the target.
  std::array<std::atomic<int>, pipelines> at_once{};
  std::atomic<int> overlaps{0};
  std::vector<std::thread> workers;
  for (int i = 0; i < 3; ++i) {
    workers.emplace_back([&] {
      while (exchange::reply const each = requests.next()) {
        auto& mine = at_once[static_cast<std::size_t>(target_of(each)[1] - 'a')];
        if (mine++ != 0) ++overlaps;
        std::string const body = read_body(exchange::of(each));
        --mine;
        answer(each, std::string(target_of(each)) + body);
      }
    });
  }
  std::vector<std::thread> clients;
  std::atomic<std::uint32_t> wrong{0};
  std::uint32_t const each = stress::scaled(150);
  for (std::uint32_t seed = 0; seed < pipelines; ++seed) {
    clients.emplace_back([&, seed] {
      stress::dice dice(seed + 1);
      std::string script;
      std::vector<std::string> expected;
      for (std::uint32_t i = 0; i < each; ++i) {
        std::string const target = std::string("/") + static_cast<char>('a' + seed) + std::to_string(i);
        bool const large = dice.once_in(8);
        std::string const body(dice.below(large ? 200'000 : 100), static_cast<char>('A' + dice.below(26)));
        if (dice.once_in(3)) {
          script += "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n";
          expected.push_back(target);
        } else if (dice.once_in(2)) {
          script += "POST " + target + " HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body;
          expected.push_back(target + body);
        } else {
          script += "POST " + target + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
          for (std::size_t at = 0; at < body.size();) {
            std::size_t const length = std::min<std::size_t>(body.size() - at, 1 + dice.below(50'000));
            char size[32];
            std::snprintf(size, sizeof size, "%zx\r\n", length);
            script += size + body.substr(at, length) + "\r\n";
            at += length;
          }
          script += "0\r\n\r\n";
          expected.push_back(target + body);
        }
      }
      client asking(http.port());
      std::thread sender([&] {
        std::string_view left = script;
        while (!left.empty()) {
          std::size_t const length =
              std::min<std::size_t>(left.size(), 1 + dice.below(dice.once_in(2) ? 300 : 100'000));
          if (!asking.send(left.substr(0, length))) break;
          left.remove_prefix(length);
        }
      });
      for (std::string const& one : expected) wrong += asking.read_response().body != one;
      sender.join();
    });
  }
  for (std::thread& each_client : clients) each_client.join();
  requests.close();
  for (std::thread& worker : workers) worker.join();
  CHECK(wrong == 0);
  CHECK(overlaps == 0);
}

TEST_CASE("what is pipelined is kept where it was read to until it is parsed, however often reading resumes") {
  desk requests;
  running_http_server http(requests);
  server::io_thread& thread = *threads_of(http.get()).front();
  client asking(http.port());
  constexpr std::size_t count = 250;
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += get(i);
  REQUIRE(all.size() < server::tuning::head_read_size);
  REQUIRE(asking.send(all));
  // Moved bytes end at a different address, in any memory, because the old one is still in use.
  std::set<char const*> ends;
  std::size_t left_last = all.size();
  std::size_t resumed = 0;
  for (std::size_t i = 0; i < count; ++i) {
    exchange::reply each = requests.next();
    CHECK(target_of(each) == "/" + std::to_string(i));
    std::promise<void> looked;
    asio::post(thread.context(), [&] {
      server::byte_buffer& unparsed = unparsed_of(http1_of(*connections_of(thread)));
      if (!unparsed.empty()) {
        ends.insert(unparsed.view().end());
        resumed += unparsed.size() < left_last;
        left_last = unparsed.size();
      }
      looked.set_value();
    });
    looked.get_future().get();
    answer(each, "");
  }
  for (std::size_t i = 0; i < count; ++i) CHECK(asking.read_response().status == 200);
  CHECK(resumed > count / depth / 2);
  CHECK(ends.size() == 1);
}
