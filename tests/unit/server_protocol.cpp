// SPDX-License-Identifier: MIT
//
// The protocol seam, with a protocol that is not HTTP: each line is a request, and its response is a line. Client, I/O
// thread and handler are one thread, in a random order, on a transport with faults.

#include "http/protocol.hpp"

#include "net/http_server.hpp"

#include "../support/memory_transport.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
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

namespace {

// One request at a time. The thread that responds writes to the transport.
class line_echo final : public server::protocol, public server::response_sink {
public:
  line_echo(server::protocol_context const& shared, server::protocol::host& connection, server::transport& to)
      : shared_(shared), host_(connection), transport_(to), idle_(shared.deadlines, [this] { host_.close(); }) {}

  void start(std::string_view) override { idle_.set(server::clock::now() + shared_.limit.keep_alive_timeout); }
  void drain() override {
    draining_ = true;
    next();
  }
  void close() noexcept override {
    idle_.clear();
    std::lock_guard guard(mutex_);
    closed_ = true;
    transport_.close(busy_ ? server::transport::ending::reset : server::transport::ending::orderly);
  }

  [[nodiscard]] bool wants_input() const override { return input_.size() < 1000; }
  [[nodiscard]] std::span<char> read_space(std::span<char> scratch) override { return scratch.first(100); }
  [[nodiscard]] bool received(std::span<char> space, std::size_t length) override {
    input_.append(space.data(), length);
    next();
    return false;
  }
  void input_ended() override { drain(); }
  void attend() override {
    bool ended = false;
    io_result::state waits = io_result::state::done;
    {
      std::lock_guard guard(mutex_);
      if (waits_ == io_result::state::wants_readable) {
        waits_ = io_result::state::done;
        write();
      }
      ended = failed_;
      waits = std::exchange(waits_, io_result::state::done);
    }
    if (ended) return host_.close();
    if (waits != io_result::state::done) host_.await_output(waits);
    next();
    host_.read_on();
  }
  void output_ready() noexcept override {
    {
      std::lock_guard guard(mutex_);
      write();
    }
    host_.wake();
  }
  void flush_late() noexcept override {}

  delivery send(exchange& from, server::response_part const& part) noexcept override {
    {
      std::lock_guard guard(mutex_);
      if (closed_ || failed_) return delivery::gone;
      from.note(part.head ? part.head->status() : 0, server::length_of(part.data), exchange_end::complete);
      for (iovec const& one : part.data) output_.append(static_cast<char const*>(one.iov_base), one.iov_len);
      if (part.end) {
        output_ += '\n';
        busy_ = false;
      }
      write();
    }
    if (part.end) from.report(exchange_end::complete);
    host_.wake();
    return delivery::taken;
  }
  delivery interim(exchange&, server::response_head const&) noexcept override { return delivery::gone; }
  void flush(exchange&) noexcept override {}
  [[nodiscard]] bool await_room(exchange&) override { return false; }
  void cut(exchange&) override {
    std::lock_guard guard(mutex_);
    failed_ = true;
    host_.wake();
  }
  void unanswered(exchange& from, kino::ending) noexcept override { cut(from); }
  void resume_reading(exchange&) override {}
  [[nodiscard]] bool client_gone(exchange const&) override { return false; }
  [[nodiscard]] server::endpoint const& peer() const override { return host_.peer(); }
  [[nodiscard]] server::endpoint const& local() const override { return host_.local(); }
  void release() noexcept override { host_.drop(); }

private:
  // Hands over the next line, or ends the connection.
  void next() {
    std::size_t const length = input_.find('\n');
    {
      std::lock_guard guard(mutex_);
      if (busy_ || closed_ || ended_) return;
      busy_ = length != std::string::npos;
      ended_ = !busy_ && draining_ && output_.empty();
      if (ended_) transport_.shutdown_write();
    }
    if (ended_) return host_.linger();
    if (length != std::string::npos) hand_over(length);
  }

  void hand_over(std::size_t length) {
    exchange& fresh = shared_.exchanges.acquire(*this);
    host_.hold();
    exchange::reply request(fresh);
    fresh.collected().begin(shared_.exchanges.spool(), shared_.limit.body_buffer);
    fresh.collected().append(std::string_view(input_).substr(0, length));
    fresh.count_body(length);
    input_.erase(0, length + 1);
    fresh.ready();
    shared_.handler.handle(std::move(request));
  }

  void write() noexcept {
    while (!output_.empty() && waits_ == io_result::state::done && !closed_) {
      iovec const all = server::piece(output_);
      io_result const sent = transport_.write_some({&all, 1});
      if (sent.failed()) {
        failed_ = true;
        return;
      }
      output_.erase(0, sent.bytes);
      if (!sent.done()) waits_ = sent.what;
    }
  }

  server::protocol_context const& shared_;
  server::protocol::host& host_;
  server::transport& transport_;
  server::deadline idle_;
  std::string input_;
  bool draining_ = false;
  bool ended_ = false;  // of the I/O thread

  std::mutex mutex_;
  std::string output_;
  io_result::state waits_ = io_result::state::done;
  bool busy_ = false;
  bool failed_ = false;
  bool closed_ = false;
};

// Answers each line in two parts: a head with the line, and an end.
class echo_server final : public server::request_handler, public server::observer {
public:
  explicit echo_server(std::uint32_t seed)
      : chance_(seed), http_(settings(), *this, [](auto const& shared, auto& connection, auto& to) {
          return std::make_unique<line_echo>(shared, connection, to);
        }) {
    memory_test::faults faults;
    faults.part = chance_.below(3);
    faults.blocked = 2 * chance_.below(3);
    faults.crossed = 4 * chance_.below(2);
    faults.ahead = 3 * chance_.below(2);
    link_ = std::make_shared<memory_link>(context(), chance_, faults, 1 + chance_.below(300), 1 + chance_.below(300));
    for (std::size_t i = 0, count = chance_.below(50); i != count; ++i) {
      wire_ += std::string(chance_.below(200), static_cast<char>('a' + i % 26)) + '\n';
    }
    REQUIRE(http_.admit());
    http_.connected(link_->make_transport(), {"192.0.2.1", "1"}, here_, link_->make_readiness());
  }
  ~echo_server() {
    queue_.clear();
    http_.close_connections();
    run_io();
  }

  // Whether all lines came back and the connection ended.
  void run(bool drains) {
    for (int step = 0, idle = 0; idle < 1000; ++step, ++idle) {
      REQUIRE(step < 1'000'000);
      switch (chance_.below(4)) {
        case 0:
          if (io()) idle = 0;
          break;
        case 1:
          if (std::size_t const sent = link_->send(std::string_view(wire_).substr(sent_, 1 + chance_.below(50)))) {
            sent_ += sent;
            idle = 0;
          }
          if (!drains && sent_ == wire_.size() && !std::exchange(left_, true)) link_->end();
          if (drains && got_.size() == wire_.size() && !std::exchange(left_, true)) http_.begin_drain();
          break;
        case 2:
          if (handle()) idle = 0;
          break;
        default: {
          std::string const got = link_->receive(1 + chance_.below(50));
          got_ += got;
          if (!got.empty()) idle = 0;
        }
      }
    }
  }

  // Until the I/O thread has nothing to do.
  void run_io() {
    while (io()) {}
  }

  [[nodiscard]] std::string const& wire() const { return wire_; }
  [[nodiscard]] std::string const& got() const { return got_; }
  [[nodiscard]] memory_link& link() { return *link_; }
  [[nodiscard]] server::http_server& http() { return http_; }
  [[nodiscard]] std::vector<server::exchange_report> const& reports() const { return reports_; }

private:
  server::options settings() {
    server::options chosen;
    // A null pointer would mean that none observes; this one is not owned.
    chosen.observes = std::shared_ptr<server::observer>(std::shared_ptr<void>(), this);
    return chosen;
  }

  asio::io_context& context() { return http_.first_thread().context(); }
  bool io() {
    bool const did = context().poll_one() != 0;
    context().restart();
    return did;
  }

  bool handle() {
    if (queue_.empty()) return false;
    exchange::reply reply = std::move(queue_.front());
    queue_.pop_front();
    exchange& one = exchange::of(reply);
    std::string line(one.collected().size(), '?');
    one.collected().copy(one.collected().claim(line.size()), line.data());
    REQUIRE(one.response().start(200) == server::response_head::problem::none);
    iovec const bytes = server::piece(line);
    server::response_part const first{&one.response(), {&bytes, 1}, chance_.once_in(2)};
    server::response_part copy = first;
    REQUIRE(reply.answer(std::move(copy)));
    if (!first.end) static_cast<void>(one.send({.end = true}));
    return true;
  }

  void handle(exchange::reply&& reply) noexcept override { queue_.push_back(std::move(reply)); }
  void ended(server::exchange_report const& report) noexcept override { reports_.push_back(report); }

  stress::dice chance_;
  server::endpoint const here_{"127.0.0.1", "1"};
  std::deque<exchange::reply> queue_;
  std::vector<server::exchange_report> reports_;
  server::http_server http_;
  std::shared_ptr<memory_link> link_;
  std::string wire_;
  std::size_t sent_ = 0;
  bool left_ = false;
  std::string got_;
};

}  // namespace

TEST_CASE("a connection speaks another protocol, whatever the transport does") {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    echo_server echo(seed);
    echo.run(seed % 2 == 0);
    REQUIRE(echo.got() == echo.wire());
    REQUIRE(echo.link().sees_end());
    REQUIRE(!echo.link().lost());
    auto const lines = static_cast<std::size_t>(std::count(echo.wire().begin(), echo.wire().end(), '\n'));
    REQUIRE(echo.reports().size() == lines);
    std::uint64_t bytes = 0;
    for (auto const& report : echo.reports()) {
      REQUIRE(report.how == exchange_end::complete);
      REQUIRE(report.status == 200);
      REQUIRE(report.request_bytes == report.response_bytes);
      bytes += report.response_bytes;
    }
    REQUIRE(bytes + lines == echo.wire().size());
  }
}

TEST_CASE("a protocol's deadline ends its connection") {
  echo_server echo(1);
  echo.run_io();
  echo.http().first_thread().deadlines().run(server::clock::now() + std::chrono::hours(1));
  CHECK(echo.link().closed());
  CHECK(echo.http().connections() == 0);
}
