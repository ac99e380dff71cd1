// SPDX-License-Identifier: MIT
//
// A whole server that speaks TLS, over sockets: I/O threads, workers and clients, for the sanitizers.

#include "net/tls_acceptor.hpp"

#include "../support/await.hpp"
#include "../support/captured_log.hpp"
#include "../support/http_server_test.hpp"
#include "../support/stress.hpp"
#include "../support/tls_client.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace server = kino::server;
namespace tls = kino::server::tls;
using namespace http_server_test;
using server::exchange;

namespace {

server::options encrypted_settings(unsigned io_threads) {
  static_cast<void>(tls_test::library());  // the one that was built for this test
  server::options chosen = patient_settings(io_threads);
  chosen.binds.front().tls = true;
  chosen.tls = tls_test::settings_of(tls_test::default_identity());
  chosen.handshake_timeout = std::chrono::hours(1);
  return chosen;
}

// A client over a socket that blocks.
class encrypted_client {
public:
  encrypted_client(std::uint16_t port, tls_test::client_options const& wanted) : tls(wanted), socket_(port) {}

  bool handshake() {
    while (!tls.established()) {
      tls.step();
      if (tls.failed() || !flush()) return false;
      if (!tls.established() && !receive()) return false;
    }
    return true;
  }
  bool send(std::string_view bytes) {
    tls.write(bytes);
    return flush();
  }
  // The next response, which has a Content-Length.
  response read_response() {
    std::size_t end = 0;
    while ((end = tls.received().find("\r\n\r\n", taken_)) == std::string::npos) {
      if (!receive()) return {};
    }
    std::string const head = tls.received().substr(taken_, end + 4 - taken_);
    static constexpr std::string_view name = "ontent-length: ";
    std::size_t const at = head.find(name);
    std::size_t const length = at == head.npos ? 0 : std::strtoul(head.c_str() + at + name.size(), nullptr, 10);
    while (tls.received().size() < end + 4 + length) {
      if (!receive()) return {};
    }
    taken_ = end + 4 + length;
    return {std::atoi(head.c_str() + sizeof "HTTP/1.1"), tls.received().substr(end + 4, length)};
  }
  [[nodiscard]] bool waited_in_vain() const { return socket_.waited_in_vain(); }

  tls_test::client tls;

private:
  bool flush() {
    std::string const output = tls.take_output();
    return output.empty() || socket_.send(output);
  }
  bool receive() {
    std::string const got = socket_.read_some(16384);
    if (got.empty()) return false;
    tls.give_input(got);
    tls.step();
    return true;
  }

  client socket_;
  std::size_t taken_ = 0;
};

// Responds with the request's body, in pieces if the target says so.
void echo(exchange::reply const& each) {
  exchange& from = exchange::of(each);
  bool const in_pieces = from.head().target() == "/pieces";
  std::string const body = read_body(from);
  if (!in_pieces) return answer(each, body);
  server::response_writer writer = begin_answer(each, body.size());
  for (std::size_t at = 0; at < body.size(); at += 5000) {
    static_cast<void>(writer.write(std::string_view(body).substr(at, 5000)));
  }
  static_cast<void>(writer.finish());
}

std::string post(char const* target, std::string const& body) {
  return std::string("POST ") + target + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

struct visits {
  std::uint64_t done = 0;
  std::uint64_t resumed = 0;
  std::uint64_t wrong = 0;
};

// Connects again and again, every other time with the session of the previous connection.
visits visit(std::uint16_t port, std::uint32_t seed, std::uint32_t times, std::atomic<std::uint32_t>& over) {
  stress::dice chance(seed);
  bssl::UniquePtr<SSL_SESSION> session;
  visits made;
  for (std::uint32_t n = 0; n < times; ++n, ++over, over.notify_one()) {
    int const version = chance.once_in(2) ? TLS1_2_VERSION : TLS1_3_VERSION;
    bool const resumes = session && chance.once_in(2);
    encrypted_client asking(port, {.least = resumes ? TLS1_2_VERSION : version, .most = resumes ? TLS1_3_VERSION : version,
                                   .resume = resumes ? session.get() : nullptr});
    if (!asking.handshake()) {
      ++made.wrong;
      continue;
    }
    std::string const first(chance.below(60'000), static_cast<char>('a' + n % 26));
    std::string const second(chance.below(60'000), static_cast<char>('A' + n % 26));
    made.wrong += !asking.send(post("/pieces", first) + post("/", second));
    made.wrong += asking.read_response().body != first;
    made.wrong += asking.read_response().body != second;
    made.wrong += asking.waited_in_vain();
    made.resumed += asking.tls.resumed();
    ++made.done;
    if (auto fresh = asking.tls.session()) session = std::move(fresh);
  }
  return made;
}

}  // namespace

TEST_CASE("what clients and workers send arrives unchanged while certificates are renewed, and every handshake is counted") {
  constexpr std::uint32_t clients = 4;
  desk requests;
  running_http_server http(requests, encrypted_settings(2));
  serving_threads const serving(requests, 3, echo);
  server::tls_acceptor& acceptor = *http.get().tls();
  std::vector<visits> made(clients);
  std::uint32_t const times = stress::scaled(150);
  std::atomic<std::uint32_t> over{0};
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < clients; ++i) {
    threads.emplace_back([&, i] { made[i] = visit(http.port(), i + 1, times, over); });
  }
  tls_test::identity const other("other.example");
  for (std::uint32_t seen = 0; seen != clients * times; seen = over) {
    acceptor.renew(tls_test::settings_of(seen % 2 == 0 ? other : tls_test::default_identity()));
    static_cast<void>(acceptor.statistics());
    over.wait(seen);
  }
  for (std::thread& each : threads) each.join();
  visits all;
  for (visits const& each : made) {
    all.done += each.done;
    all.resumed += each.resumed;
    all.wrong += each.wrong;
  }
  CHECK(all.wrong == 0);
  CHECK(all.done == clients * times);
  CHECK(all.resumed > 0);
  CHECK(acceptor.statistics().handshakes == all.done);
  CHECK(acceptor.statistics().resumed == all.resumed);
}

TEST_CASE("a handshake that is not complete in time ends, however much of it has come") {
  captured_log log;
  INFO(log);
  server::options hasty = encrypted_settings(2);
  hasty.handshake_timeout = std::chrono::milliseconds(1);
  desk requests;
  running_http_server http(requests, hasty);
  tls_test::client probe;
  probe.step();
  std::string const hello = probe.take_output();
  std::vector<client> slow(20);
  for (std::size_t i = 0; i < slow.size(); ++i) {
    REQUIRE(slow[i].connect(http.port()));
    static_cast<void>(slow[i].send(std::string_view(hello).substr(0, hello.size() * i / slow.size())));
  }
  for (client& each : slow) {
    CHECK(each.ended());
    CHECK(!each.waited_in_vain());
  }
  // The client may see the end before the server does.
  await([&] { return http.get().tls()->statistics().timed_out == slow.size(); });
}
