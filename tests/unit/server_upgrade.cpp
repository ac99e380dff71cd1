// SPDX-License-Identifier: MIT
//
// Upgrades: a connection that carries another protocol after a response. Client, I/O thread and handler are one thread, on
// a transport in memory.

#include "http/upgrade.hpp"

#include "net/http_server.hpp"

#include "../support/captured_log.hpp"
#include "../support/memory_transport.hpp"
#include "../support/one_failing_allocation.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace server = kino::server;
using memory_test::memory_link;
using server::delivery;
using server::exchange;
using server::exchange_end;
using server::io_result;
using allocation_test::allocations_left;

namespace {

// What became of the upgrades of one server.
struct fates {
  int made = 0;
  int destroyed = 0;
  int started = 0;  // protocols
  int drained = 0;
  int closed = 0;
};

// Sends back what it gets, byte by byte, after a greeting; "!" ends it, and so does draining, with a farewell.
class echo final : public server::protocol {
public:
  echo(fates& counts, std::string greeting, server::protocol::host& connection, server::transport& to)
      : counts_(counts), host_(connection), transport_(to), output_(std::move(greeting)) {}

  void start(std::string_view received) override {
    ++counts_.started;
    take(received);
  }
  void drain() override {
    ++counts_.drained;
    if (std::exchange(ending_, true)) return;
    output_ += "bye";
    write();
  }
  void close() noexcept override {
    ++counts_.closed;
    transport_.close(output_.empty() ? server::transport::ending::orderly : server::transport::ending::reset);
  }
  [[nodiscard]] bool wants_input() const override { return !ending_ && output_.size() < 100; }
  [[nodiscard]] std::span<char> read_space(std::span<char> scratch) override { return scratch.first(50); }
  [[nodiscard]] bool received(std::span<char> space, std::size_t length) override {
    take({space.data(), length});
    return false;
  }
  void input_ended() override {
    ending_ = true;
    write();
  }
  void output_ready() noexcept override {
    write();
    host_.wake();
  }
  void attend() override {
    if (failed_) return host_.close();
    if (wait_ != io_result::state::done) host_.await_output(std::exchange(wait_, io_result::state::done));
    if (linger_due_ && !std::exchange(lingers_, true)) return host_.linger();
    host_.read_on();
  }
  void flush_late() noexcept override {}

private:
  void take(std::string_view bytes) {
    if (ending_) return;
    std::size_t const end = bytes.find('!');
    output_ += bytes.substr(0, end);
    ending_ = end != bytes.npos;
    write();
  }
  void write() noexcept {
    while (!output_.empty() && !failed_) {
      iovec const all = server::piece(output_);
      io_result const sent = transport_.write_some({&all, 1});
      failed_ = sent.failed();
      if (!sent.done()) {
        wait_ = sent.what;
        break;
      }
      output_.erase(0, sent.bytes);
    }
    if (output_.empty() && ending_ && !std::exchange(linger_due_, true)) transport_.shutdown_write();
    host_.wake();
  }

  fates& counts_;
  server::protocol::host& host_;
  server::transport& transport_;
  std::string output_;
  io_result::state wait_ = io_result::state::done;
  bool ending_ = false;
  bool failed_ = false;
  bool linger_due_ = false;
  bool lingers_ = false;
};

class echo_upgrade final : public server::upgrade {
public:
  echo_upgrade(fates& counts, std::string greeting) : counts_(counts), greeting_(std::move(greeting)) { ++counts_.made; }
  ~echo_upgrade() override { ++counts_.destroyed; }
  std::unique_ptr<server::protocol> begin(server::protocol_context const&, server::protocol::host& connection,
                                          server::transport& to) override {
    return std::make_unique<echo>(counts_, std::move(greeting_), connection, to);
  }

private:
  fates& counts_;
  std::string greeting_;
};

// While it lives, no allocation fails: they are the test's.
class exemption {
public:
  exemption(exemption const&) = delete;
  exemption() : left_(std::exchange(allocations_left, 0)) {}
  ~exemption() { allocations_left = left_; }

private:
  std::uint32_t const left_;
};

// The memory of the link is the kernel's.
class system_transport final : public server::transport {
public:
  explicit system_transport(std::unique_ptr<server::transport> of) : of_(std::move(of)) {}
  io_result read_some(std::span<char> into) noexcept override {
    exemption const now;
    return of_->read_some(into);
  }
  bool has_input() const noexcept override { return of_->has_input(); }
  io_result write_some(std::span<iovec const> pieces) noexcept override {
    exemption const now;
    return of_->write_some(pieces);
  }
  void shutdown_write() noexcept override { of_->shutdown_write(); }
  void close(ending how) noexcept override { of_->close(how); }
  [[nodiscard]] std::uint64_t unacknowledged() const noexcept override { return of_->unacknowledged(); }
  [[nodiscard]] int descriptor() const noexcept override { return of_->descriptor(); }

private:
  std::unique_ptr<server::transport> const of_;
};

// A server with one connection. Targets: /up upgrades, /take takes over, /tunnel sends back what the client sends until that
// ends or has a "!", /hold keeps its request, and others get 200 and their target as the body.
class bench final : public server::request_handler, public server::observer {
public:
  explicit bench(memory_test::faults faults = {}, std::uint32_t seed = 1, std::size_t room = 100'000)
      : chance_(seed), http_(settings(), *this), link_(std::make_shared<memory_link>(context(), chance_, faults, room, room)) {
    REQUIRE(http_.admit());
    http_.connected(std::make_unique<system_transport>(link_->make_transport()), {"192.0.2.1", "1"}, here_, link_->make_readiness());
  }
  ~bench() {
    allocations_left = 0;
    queue_.clear();
    held_.clear();
    tunnels_.clear();
    http_.close_connections();
    while (io()) {}
    link_.reset();
    CHECK(counts.made == counts.destroyed);
    CHECK(counts.closed == counts.started);
    CHECK(http_.connections() == 0);
    CHECK(http_.live() == 0);
  }

  bool io() {
    try {
      bool const did = context().poll_one() != 0;
      context().restart();
      return did;
    } catch (std::bad_alloc const&) {  // as io_thread::run
      context().restart();
      return true;
    }
  }
  bool handle_next() {
    if (!tunnels_.empty() && !advance_tunnel()) tunnels_.clear();
    if (queue_.empty()) return std::exchange(tunneled_, false);
    exchange::reply reply = std::move(queue_.front());
    queue_.pop_front();
    respond(std::move(reply));
    return true;
  }
  // Until nothing more happens.
  void run() {
    while (io() || handle_next()) {}
    got += link_->receive(SIZE_MAX);
    while (io() || handle_next()) got += link_->receive(SIZE_MAX);
    got += link_->receive(SIZE_MAX);
  }
  void send(std::string_view bytes) { REQUIRE(link_->send(bytes) == bytes.size()); }

  [[nodiscard]] memory_link& link() { return *link_; }
  [[nodiscard]] server::http_server& http() { return http_; }

  fates counts;
  bool broken = false;       // the tunnel's input
  bool half_closes = false;  // the tunnel's handler reads on behind the "!"
  std::string got;
  std::vector<std::pair<int, exchange_end>> reports;

private:
  server::options settings() {
    server::options chosen;
    chosen.http2 = false;
    chosen.stream_body = {"/"};
    chosen.observes = std::shared_ptr<server::observer>(std::shared_ptr<void>(), this);
    return chosen;
  }
  asio::io_context& context() { return http_.first_thread().context(); }

  void respond(exchange::reply reply) {
    exchange& one = exchange::of(reply);
    std::string const target(one.head().target());
    if (target == "/hold") return held_.push_back(std::move(reply));
    try {
      std::shared_ptr<server::upgrade> next;
      if (target == "/up") {
        REQUIRE(one.response().start_upgrade("echo") == server::response_head::problem::none);
        REQUIRE(one.response().add("x-more", "1") == server::response_head::problem::none);
        REQUIRE(one.response().add("upgrade", "other") == server::response_head::problem::none);
        next = std::make_shared<echo_upgrade>(counts, "hi:");
        iovec const first = server::piece("first:");
        reply.answer({.head = &one.response(), .data = {&first, 1}, .end = true, .upgrade = &next});
      } else if (target == "/tunnel") {
        REQUIRE(one.response().start_upgrade("echo") == server::response_head::problem::none);
        reply.answer({.head = &one.response()});
        exemption const now;
        tunnels_.push_back(std::move(reply));
      } else if (target == "/take") {
        next = std::make_shared<echo_upgrade>(counts, "HTTP/1.1 101 Mine\r\n\r\n");
        reply.answer({.end = true, .upgrade = &next});
      } else {
        REQUIRE(one.response().start(200) == server::response_head::problem::none);
        iovec const body = server::piece(target);
        reply.answer({.head = &one.response(), .data = {&body, 1}, .end = true});
      }
    } catch (std::bad_alloc const&) {  // The reply is dropped, which is an answer, too.
    }
  }
  // Returns whether the tunnel is still open for its handler.
  bool advance_tunnel() {
    exchange& one = exchange::of(tunnels_.front());
    char bytes[20];
    auto const got = one.read(bytes, sizeof bytes);
    std::string_view const view(bytes, got.length);
    std::size_t const end = view.find('!');
    iovec const back = server::piece(view.substr(0, end));
    tunneled_ = got.length != 0;
    bool const over = end != view.npos || (got.length == 0 && got.what != server::body_pipe::state::open);
    if (got.what == server::body_pipe::state::broken) return broken = true, false;
    if (got.length == 0 && !over) return true;
    if (half_closed_ && !over) return true;
    half_closed_ = half_closes && end != view.npos;
    if (one.send({.data = {&back, 1}, .end = over}) != delivery::gone && (!over || half_closed_)) return true;
    one.close_body();
    return false;
  }

  void handle(exchange::reply&& reply) noexcept override {
    exemption const now;
    queue_.push_back(std::move(reply));
  }
  int status_for(kino::ending, exchange&) noexcept override { return 500; }
  void refused(int) noexcept override {}
  void quiet() noexcept override {}
  void ended(server::exchange_report const& report) noexcept override {
    exemption const now;
    reports.emplace_back(report.status, report.how);
  }

  stress::dice chance_;
  server::endpoint const here_{"127.0.0.1", "1"};
  std::deque<exchange::reply> queue_;
  std::vector<exchange::reply> held_;
  std::vector<exchange::reply> tunnels_;  // at most one
  bool tunneled_ = false;
  bool half_closed_ = false;
  server::http_server http_;
  std::shared_ptr<memory_link> link_;
};

std::string get(std::string_view target, std::string_view more = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n" + std::string(more) + "\r\n";
}
std::string asking(std::string_view target, std::string_view more = "") {
  return get(target, "Connection: keep-alive, Upgrade\r\nUpgrade: echo\r\n" + std::string(more));
}

// The response without its date.
std::string plain(std::string text) {
  for (std::size_t at; (at = text.find("date: ")) != text.npos;) text.erase(at, text.find("\r\n", at) + 2 - at);
  return text;
}
std::string ok(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nserver: kino\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
std::string const switched = "HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nx-more: 1\r\nconnection: upgrade\r\n\r\nfirst:hi:";

}  // namespace

TEST_CASE("a connection carries another protocol behind the response to the request that asked, wherever its bytes are split") {
  std::string const behind = "x\r\nGET /no HTTP/1.1\r\n\r\n";
  std::string const wire = get("/a") + asking("/up") + behind + "!";
  std::string const wanted = ok("/a") + switched + behind;
  for (std::size_t split = 1; split != wire.size(); ++split) {
    CAPTURE(split);
    bench one;
    one.send(wire.substr(0, split));
    one.run();
    one.send(wire.substr(split));
    one.run();
    REQUIRE(plain(one.got) == wanted);
    REQUIRE(one.link().sees_end());
    REQUIRE(one.counts.started == 1);
    REQUIRE(one.reports == std::vector<std::pair<int, exchange_end>>{{200, exchange_end::complete}, {101, exchange_end::complete}});
  }
  bench slow;
  for (char const each : wire) {
    slow.send({&each, 1});
    slow.run();
  }
  CHECK(plain(slow.got) == wanted);
}

TEST_CASE("what is behind a request whose response does not upgrade is a request") {
  std::string const wire = asking("/a") + asking("/b") + get("/c") + asking("/d");
  for (std::size_t split = 1; split != wire.size(); ++split) {
    CAPTURE(split);
    bench one;
    one.send(wire.substr(0, split));
    one.run();
    one.send(wire.substr(split));
    one.run();
    REQUIRE(plain(one.got) == ok("/a") + ok("/b") + ok("/c") + ok("/d"));
  }
}

TEST_CASE("a request that asks for an upgrade is handled once its body is there, and its body is no part of what follows") {
  bench one;
  one.send(asking("/up", "Content-Length: 5\r\n") + "ab");
  one.run();
  CHECK(one.got.empty());
  one.send("cdefgh!");
  one.run();
  CHECK(one.got == switched + "fgh");
}

TEST_CASE("a connection is taken over without a response, also behind a request that did not ask") {
  for (bool const asks : {false, true}) {
    bench one;
    one.send(get("/a") + (asks ? asking("/take") : get("/take")));
    one.run();
    one.send("abc!");
    one.run();
    CHECK(plain(one.got) == ok("/a") + "HTTP/1.1 101 Mine\r\n\r\nabc");
    CHECK(one.reports.back() == std::pair{101, exchange_end::complete});
    CHECK(one.link().sees_end());
  }
}

TEST_CASE("a takeover drops the requests that were read behind it") {
  bench one;
  one.send(get("/take") + get("/a") + get("/b") + "GET /c HTTP/1.1\r\nHo");
  one.run();
  one.send("abc!");
  one.run();
  CHECK(one.got == "HTTP/1.1 101 Mine\r\n\r\nabc");
  CHECK(one.reports.size() == 3);
}

TEST_CASE("a response that may not upgrade its connection ends it") {
  for (std::string const& request : std::vector<std::string>{
        get("/up"), get("/up", "Upgrade: echo\r\n"), get("/up", "Connection: upgrade\r\n"), get("/up", "Connection: upgrade\r\nUpgrade:\r\n"),
        "HEAD /up HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
        "GET /up HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
        "POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"}) {
    CAPTURE(request);
    bench one;
    one.send(request);
    one.run();
    CHECK(one.got.empty());
    CHECK(one.link().lost());
    CHECK(one.counts.started == 0);
  }
}

TEST_CASE("limits of HTTP end with it") {
  bench one;
  one.send(asking("/up") + "a");
  one.run();
  one.http().first_thread().deadlines().run(server::clock::now() + std::chrono::hours(24));
  one.run();
  one.send("b");
  one.run();
  CHECK(one.got == switched + "ab");
  CHECK(!one.link().closed());
}

TEST_CASE("a request that waits for its response keeps what is behind it in the kernel") {
  bench one({}, 1, 1'000'000);
  one.send(asking("/hold"));
  one.run();
  std::string const much(500'000, 'x');
  one.send(much);
  one.run();
  // Nothing was taken: there is room for as much again only.
  CHECK(one.link().send(std::string(600'000, 'x')) == 500'000);
}

// Sends the wire in pieces, with faults of the transport, and calls `happens` at step `at`. `in_order`: the client must see
// the end of what it was sent.
template <class Happens>
void converse(std::uint32_t seed, int at, char const* only, bool in_order, Happens happens) {
  captured_log const log;
  stress::dice chance(seed);
  memory_test::faults faults;
  faults.part = chance.below(3);
  faults.blocked = 2 * chance.below(3);
  faults.crossed = 4 * chance.below(2);
  faults.ahead = 3 * chance.below(2);
  bench one(faults, seed, 20 + chance.below(300));
  std::string const behind = "some bytes\r\n\r\n";
  std::string const target = only ? only : chance.once_in(2) ? "/up" : "/take";
  std::string const wire = get("/a") + asking(chance.once_in(2) ? "/b" : target) + behind + "!";
  std::size_t sent = 0;
  for (int step = 0, idle = 0; idle < 1000; ++step, ++idle) {
    REQUIRE(step < 100'000);
    if (step == at) happens(one);
    switch (chance.below(4)) {
      case 0: if (one.io()) idle = 0; break;
      case 1:
        if (std::size_t const some = one.link().send(std::string_view(wire).substr(sent, 1 + chance.below(50)))) sent += some, idle = 0;
        break;
      case 2: if (one.handle_next()) idle = 0; break;
      default: {
        std::string const some = one.link().receive(1 + chance.below(50));
        one.got += some;
        if (!some.empty()) idle = 0;
      }
    }
  }
  CHECK(one.reports.size() <= 3);
  if (!in_order) return;
  CHECK(one.link().sees_end());
  CHECK(!one.link().lost());
  if (one.counts.started != 0) CHECK(one.got.ends_with(one.counts.drained != 0 && one.got.ends_with("bye") ? "bye" : behind));
}

TEST_CASE("draining ends an upgraded connection in order, whenever it begins") {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    converse(seed, static_cast<int>(seed % 150), nullptr, true, [](bench& one) { one.http().begin_drain(); });
  }
}

TEST_CASE("a client that leaves at any time leaves nothing behind") {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    converse(seed, static_cast<int>(seed % 150), nullptr, false, [seed](bench& one) {
      seed % 2 == 0 ? one.link().reset() : one.link().end();
    });
  }
}

TEST_CASE("whichever allocation fails, an upgrade is begun or destroyed, and its connection works or ends") {
  for (char const* const target : {"/up", "/take", "/tunnel"}) {
    for (std::uint32_t left = 1; left <= 60; ++left) {
      CAPTURE(target);
      CAPTURE(left);
      bench one;
      std::string const wire = asking(target) + "abc!";
      one.send(wire);
      allocations_left = left;
      while (one.io() || one.handle_next()) {}
      allocations_left = 0;
      one.run();
      bool const whole = one.got.ends_with("abc") && one.link().sees_end();
      CAPTURE(one.got);
      CHECK((whole || one.link().closed() || one.got.starts_with("HTTP/1.1 50")));
    }
  }
}

std::string const tunneled = "HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n";

TEST_CASE("a response whose head upgrades has the connection's bytes both ways, wherever they are split") {
  std::string const behind = "x\r\nGET /no HTTP/1.1\r\n\r\n";
  std::string const wire = get("/a") + asking("/tunnel") + behind;
  for (bool const client_ends : {false, true}) {
    for (std::size_t split = 1; split != wire.size(); ++split) {
      CAPTURE(split);
      bench one;
      one.send(wire.substr(0, split));
      one.run();
      one.send(wire.substr(split));
      one.run();
      REQUIRE(plain(one.got) == ok("/a") + tunneled + behind);
      REQUIRE(one.reports.size() == 1);
      client_ends ? one.link().end() : one.send("!not read");
      one.run();
      REQUIRE(plain(one.got) == ok("/a") + tunneled + behind);
      REQUIRE(one.link().sees_end());
      REQUIRE(!one.link().lost());
      REQUIRE(one.http().live() == 0);
      REQUIRE(one.reports.back() == std::pair{101, exchange_end::complete});
    }
  }
}

TEST_CASE("a tunnel has no limit of time, keeps a bounded number of bytes, and ends when the server stops") {
  bench one({}, 1, 3'000'000);
  one.send(asking("/tunnel"));
  one.run();
  one.http().first_thread().deadlines().run(server::clock::now() + std::chrono::hours(100));
  one.run();
  CHECK(one.got == tunneled);
  one.send(std::string(2'000'000, 'x'));
  while (one.io()) {}  // The handler does not read.
  CHECK(one.link().send(std::string(3'000'000, 'x')) <= 1'200'000);
  one.run();
  CHECK(one.got.size() > 3'000'000);
  one.http().begin_drain();
  one.run();
  CHECK(one.link().sees_end());
  CHECK(one.http().live() == 0);
}

TEST_CASE("a tunnel's handler may end its direction and read on") {
  bench one;
  one.half_closes = true;
  one.send(asking("/tunnel") + "a!");
  one.run();
  CHECK(one.got == tunneled + "a");
  CHECK(one.link().sees_end());
  CHECK(one.http().live() == 1);
  one.send("more");
  one.run();
  SUBCASE("until the client ends") { one.link().end(); }
  SUBCASE("until the server stops") { one.http().begin_drain(); }
  SUBCASE("until there is silence") {
    one.http().first_thread().deadlines().run(server::clock::now() + std::chrono::hours(1));
    one.run();
    CHECK(one.broken);
  }
  one.run();
  CHECK(one.http().live() == 0);
}

TEST_CASE("a tunnel whose client leaves, or whose server stops, at any time leaves nothing behind") {
  for (std::uint32_t seed = 1; seed <= 600; ++seed) {
    CAPTURE(seed);
    converse(seed, static_cast<int>(seed / 3 % 150), "/tunnel", seed % 3 == 0, [seed](bench& one) {
      switch (seed % 3) {
        case 0: return one.http().begin_drain();
        case 1: return one.link().reset();
        default: return one.link().end();
      }
    });
  }
}

TEST_CASE("a tunnel whose connection has ended before the response has a broken input") {
  bench one;
  one.send(asking("/tunnel"));
  while (one.io()) {}
  one.http().close_connections();
  while (one.io()) {}
  CHECK(one.link().closed());
  one.run();
  CHECK(one.broken);
}
