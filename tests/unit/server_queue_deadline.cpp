// SPDX-License-Identifier: MIT
//
// Requests that no worker begins in time, without Ruby: over sockets, with workers of the test.

#include "admission/queue_deadline.hpp"

#include "../support/await.hpp"
#include "../support/http_server_test.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace server = kino::server;
using http_server_test::client;
using server::exchange;
using namespace std::chrono_literals;

namespace {

// Requests wait, under their deadline, until the test takes them.
class deadline_desk final : public server::request_handler {
public:
  explicit deadline_desk(server::clock::duration timeout, unsigned io_threads = 1)
      : http_(*this, http_server_test::patient_settings(io_threads)),
        deadline_(http_.get().first_thread(), timeout) {}
  ~deadline_desk() {
    close();
    http_.get().stop();
  }
  void close() {
    requests_.close();
    deadline_.close();
  }
  [[nodiscard]] std::uint16_t port() const { return http_.port(); }
  exchange::reply next() {
    exchange::reply taken;
    static_cast<void>(requests_.pop(taken));
    return taken;
  }

  std::atomic<int> expired{0};
  std::atomic<int> abandoned{0};
  // The next request begins as soon as it is watched.
  std::atomic<bool> begin_next{false};

private:
  // On the I/O thread: with a single one, nothing can expire before this returns.
  void handle(exchange::reply&& reply) noexcept override {
    deadline_.watch(reply);
    if (begin_next.exchange(false)) static_cast<void>(exchange::of(reply).begin());
    static_cast<void>(requests_.try_push(std::move(reply)));
  }
  int status_for(kino::ending how, exchange&) noexcept override {
    ++(how == kino::ending::expired ? expired : abandoned);
    return how == kino::ending::expired ? 503 : 500;
  }
  void refused(int) noexcept override {}
  void quiet() noexcept override {}

  kino::channel<exchange::reply> requests_{4096};
  http_server_test::running_http_server http_;
  server::queue_deadline deadline_;
};

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

}  // namespace

TEST_CASE("requests that no worker takes are answered 503, and cannot be begun any more") {
  deadline_desk here(20ms);
  std::vector<client> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(here.port());
    REQUIRE(clients.back().send(get));
  }
  for (client& each : clients) CHECK(each.read_response().status == 503);
  CHECK(here.expired == 20);
  for (int i = 0; i < 20; ++i) {
    exchange::reply const late = here.next();
    CHECK(late.ended());
    CHECK(!exchange::of(late).begin());
  }
  CHECK(here.abandoned == 0);
}

TEST_CASE("a request that was begun is not expired, however long it takes") {
  deadline_desk here(2ms);
  here.begin_next = true;
  client first(here.port());
  REQUIRE(first.send(get));
  exchange::reply const begun = here.next();
  // Its time is over when that of a later one is.
  client other(here.port());
  REQUIRE(other.send(get));
  CHECK(other.read_response().status == 503);
  CHECK(!begun.ended());
}

TEST_CASE("no timeout is endless timeout") {
  deadline_desk here(0ms);
  client first(here.port());
  REQUIRE(first.send(get));
  exchange::reply const taken = here.next();
  CHECK(exchange::of(taken).begin());
  CHECK(here.expired == 0);
}

TEST_CASE("each of many requests is either begun or expired, and answered once") {
  deadline_desk here(1ms, 2);
  constexpr int clients = 4;
  constexpr int each = 300;
  std::atomic<int> begun{0};
  std::vector<std::thread> workers;
  for (int i = 0; i < 2; ++i) {
    workers.emplace_back([&] {
      bool late = true;
      while (exchange::reply next = here.next()) {
        // Every second one is late. The one after it has waited about as long, so its worker races with its deadline.
        if (std::exchange(late, !late)) await([&] { return next.ended(); });
        if (exchange::of(next).begin()) {
          ++begun;
          next.abandon();
        } else {
          next.expire();
        }
      }
    });
  }
  std::atomic<int> answered{0};
  std::vector<std::thread> asking;
  for (int i = 0; i < clients; ++i) {
    asking.emplace_back([&] {
      for (int n = 0; n < each; ++n) {
        client one(here.port());
        answered += one.send(get) && one.read_response().status >= 500;
      }
    });
  }
  for (std::thread& one : asking) one.join();
  here.close();
  for (std::thread& one : workers) one.join();
  CHECK(answered == clients * each);
  CHECK(here.abandoned == begun);
  CHECK(here.expired + begun == clients * each);
  CHECK(here.expired >= clients * each / 2);
}

TEST_CASE("what was watched when it closes is forgotten and stays open") {
  deadline_desk here(1h);
  client first(here.port());
  REQUIRE(first.send(get));
  exchange::reply const taken = here.next();
  here.close();
  here.close();
  CHECK(!taken.ended());
  CHECK(exchange::of(taken).begin());
}
