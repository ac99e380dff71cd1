// SPDX-License-Identifier: MIT
//
// The http_server without Ruby: responses that native workers stream.

#include "net/http_server.hpp"

#include "http/response_writer.hpp"

#include <kino/channel.hpp>

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <algorithm>
#include <atomic>
#include <functional>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace server = kino::server;
using server::response_writer;
using server::exchange;

namespace {

// Requests go to threads, each of which answers with what `stream` writes.
class workers final : public server::request_handler {
public:
  workers(std::size_t count, std::function<void(response_writer&)> stream) : stream_(stream) {
    for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
  }
  ~workers() {
    requests_.close();
    for (std::thread& each : threads_) each.join();
  }

private:
  void handle(exchange::reply&& reply) noexcept override {
    static_cast<void>(requests_.try_push(std::move(reply)));
  }
  int status_for(kino::ending, exchange&) noexcept override { return 500; }
  void refused(int) noexcept override {}
  void quiet() noexcept override {}

  void work() {
    exchange::reply reply;
    while (requests_.pop(reply) == kino::pop_result::popped) {
      static_cast<void>(exchange::of(reply).response().start(200));
      response_writer writer(reply);
      stream_(writer);
      static_cast<void>(writer.finish());
      reply = {};
    }
  }

  std::function<void(response_writer&)> const stream_;
  kino::channel<exchange::reply> requests_{64};
  std::vector<std::thread> threads_;
};

class running_http_server {
public:
  running_http_server(unsigned io_threads, server::request_handler& handler)
      : http_(settings(io_threads), handler) {
    http_.listen();
    http_.start();
  }
  ~running_http_server() { http_.stop(); }
  std::uint16_t port() const { return http_.addresses().front().port; }

private:
  static server::options settings(unsigned io_threads) {
    server::options chosen;
    chosen.binds.push_back({"127.0.0.1", 0, {}});
    chosen.io_threads = io_threads;
    return chosen;
  }
  server::http_server http_;
};

class client {
public:
  explicit client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~client() { ::close(socket_); }
  client(client const&) = delete;

  bool connected() const { return connected_; }
  void ask() const {
    static constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    static_cast<void>(::send(socket_, request.data(), request.size(), MSG_NOSIGNAL));
  }
  // What arrives, up to and with `end`; less if the connection ends.
  std::string read_through(std::string_view end) {
    while (seen_.find(end) == seen_.npos) {
      char bytes[4096];
      ssize_t const length = ::recv(socket_, bytes, sizeof bytes, 0);
      if (length <= 0) break;
      seen_.append(bytes, static_cast<std::size_t>(length));
    }
    std::size_t const stop = std::min(seen_.find(end), seen_.size() - end.size()) + end.size();
    std::string const all = seen_.substr(0, stop);
    seen_.erase(0, stop);
    return all;
  }

private:
  int const socket_;
  bool connected_ = false;
  std::string seen_;
};

}  // namespace

TEST_CASE("a small piece goes out although nothing follows it") {
  std::atomic<int> steps{0};
  workers crew(1, [&](response_writer& writer) {
    for (int i = 0; i < 3; ++i) {
      CHECK(writer.write("piece") != response_writer::result::gone);
      steps.wait(i);  // until the client has read it
    }
  });
  running_http_server const http(1, crew);
  client asking(http.port());
  REQUIRE(asking.connected());
  asking.ask();
  for (int i = 0; i < 3; ++i) {
    CHECK(asking.read_through("piece\r\n").ends_with("5\r\npiece\r\n"));
    ++steps;
    steps.notify_one();
  }
  CHECK(asking.read_through("0\r\n\r\n") == "0\r\n\r\n");
}

TEST_CASE("what has gathered goes out with flush") {
  std::atomic<bool> read{false};
  workers crew(1, [&](response_writer& writer) {
    static_cast<void>(writer.write("piece"));
    static_cast<void>(writer.flush());
    read.wait(false);
  });
  running_http_server const http(1, crew);
  client asking(http.port());
  REQUIRE(asking.connected());
  asking.ask();
  CHECK(asking.read_through("piece\r\n").ends_with("5\r\npiece\r\n"));
  read = true;
  read.notify_one();
  CHECK(asking.read_through("0\r\n\r\n") == "0\r\n\r\n");
}

TEST_CASE("streams of several workers, connections and I/O threads arrive whole") {
  constexpr int pieces = 40;
  std::string expected;
  for (int i = 0; i < pieces; ++i) expected += "4\r\n" + std::to_string(1000 + i) + "\r\n";
  expected += "0\r\n\r\n";
  workers crew(3, [](response_writer& writer) {
    for (int i = 0; i < pieces; ++i) {
      static_cast<void>(writer.write(std::to_string(1000 + i)));
      if (i % 16 == 5) std::this_thread::yield();
    }
  });
  running_http_server const http(2, crew);
  std::vector<std::thread> clients;
  std::atomic<int> whole{0};
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      client asking(http.port());
      for (int n = 0; n < 100 && asking.connected(); ++n) {
        asking.ask();
        asking.ask();  // pipelined
        whole += asking.read_through("0\r\n\r\n").ends_with("\r\n\r\n" + expected);
        whole += asking.read_through("0\r\n\r\n").ends_with("\r\n\r\n" + expected);
      }
    });
  }
  for (std::thread& each : clients) each.join();
  CHECK(whole == 800);
}

TEST_CASE("a client that leaves in a stream frees its worker") {
  std::atomic<bool> left{false};
  std::atomic<int> gone{0};
  workers crew(1, [&](response_writer& writer) {
    left.wait(false);
    // The first writes may still fit into the kernel.
    while (writer.write("piece") != response_writer::result::gone) std::this_thread::yield();
    ++gone;
  });
  {
    running_http_server const http(1, crew);
    {
      client asking(http.port());
      REQUIRE(asking.connected());
      asking.ask();
    }
    left = true;
    left.notify_one();
    while (gone == 0) std::this_thread::yield();
  }
  CHECK(gone == 1);
}
