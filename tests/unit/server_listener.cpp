// SPDX-License-Identifier: MIT

#include "net/listener.hpp"


#include "../support/await.hpp"
#include "../support/captured_log.hpp"
#include "../support/http_server_test.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <future>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using server::exchange;

namespace {

constexpr char const* request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

void respond(exchange::reply const& each) { answer(each, "served"); }

// During its lifetime, the process cannot open further descriptors.
class no_descriptors {
public:
  no_descriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    int const lowest = ::dup(STDERR_FILENO);
    ::close(lowest);
    rlimit const none{static_cast<rlim_t>(lowest), before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~no_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
  rlimit before_{};
};

std::size_t count(std::string const& text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++found;
  return found;
}

// UndefinedBehaviorSanitizer opens a pipe to check a virtual call whose type is not in its cache. If it cannot, it reports
// an invalid object.
#ifdef KINO_TEST_UNDEFINED
constexpr bool calls_need_descriptors = true;
#else
constexpr bool calls_need_descriptors = false;
#endif

}  // namespace

TEST_CASE("if descriptors run out, new clients get 503, and connected and later ones are served" *
          doctest::skip(calls_need_descriptors)) {
  desk requests;
  running_http_server http(requests);
  serving_threads const serving(requests, 1, respond);
  client connected(http.port());
  REQUIRE(connected.send(request));
  CHECK(connected.read_response().status == 200);
  std::vector<client> clients(20);
  captured_log log;
  {
    no_descriptors const meanwhile;
    for (client& each : clients) {
      REQUIRE(each.connect(http.port()));
      CHECK(each.read_response().status == 503);
      CHECK(each.ended());
    }
    REQUIRE(connected.send(request));
    CHECK(connected.read_response().status == 200);
  }
  CHECK(requests.refusals() == 20);
  std::string const lines = log.text();
  CHECK(count(lines, "cannot accept connections on 127.0.0.1:") == 1);
  CHECK(count(lines, "ulimit -n") == 1);
  client later(http.port());
  REQUIRE(later.send(request));
  CHECK(later.read_response().status == 200);
}

TEST_CASE("accepted sockets do not block and are not inherited") {
  int const before = open_descriptors();
  {
    desk requests;
    running_http_server http(requests);
    std::vector<client> clients(3);
    for (client& each : clients) REQUIRE(each.connect(http.port()));
    await([&] { return http.get().connections() == 3; });
    int accepted = 0;
    for (int i = 3; i < 200; ++i) {
      sockaddr_in local{};
      socklen_t length = sizeof local;
      if (::getsockname(i, reinterpret_cast<sockaddr*>(&local), &length) != 0) continue;
      if (ntohs(local.sin_port) != http.port()) continue;
      ++accepted;  // or listening
      CHECK((::fcntl(i, F_GETFD) & FD_CLOEXEC) != 0);
      CHECK((::fcntl(i, F_GETFL) & O_NONBLOCK) != 0);
    }
    CHECK(accepted == 4);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("a worker that writes to a disconnected client raises no signal") {
  desk requests;
  running_http_server http(requests);
  client leaving(http.port());
  REQUIRE(leaving.send(request));
  exchange::reply const held = requests.next();
  leaving.reset();
  await([&] { return exchange::of(held).client_gone() || http.get().connections() == 0; });
  answer(held, "too late");
  client asking(http.port());
  REQUIRE(asking.send(request));
  answer(requests.next(), "served");
  CHECK(asking.read_response().body == "served");
}

TEST_CASE("the errors about an address in use and a path that is too long contain the address") {
  desk requests;
  running_http_server http(requests);
  server::options taken = patient_settings();
  taken.binds.front().port = http.port();
  server::http_server second(taken, requests);
  std::string const port = std::to_string(http.port());
  CHECK_THROWS_WITH_AS(second.listen(), doctest::Contains(("127.0.0.1:" + port).c_str()), std::system_error);
  taken.binds.front() = {{}, 0, std::string(200, 'x')};
  server::http_server third(taken, requests);
  CHECK_THROWS_WITH_AS(third.listen(), doctest::Contains("unix:xxx"), std::system_error);
}

TEST_CASE("a listener takes a socket that listens already, and leaves the caller's descriptor open") {
  desk first_requests;
  desk second_requests;
  serving_threads const serving(second_requests, 1, respond);
  auto first = std::make_unique<running_http_server>(first_requests);
  server::options inherited = patient_settings();
  inherited.binds.front() = first->get().addresses().front();
  int const kept = ::dup(*inherited.binds.front().socket);
  inherited.binds.front().socket = kept;
  running_http_server second(second_requests, inherited);
  CHECK(second.port() == first->port());
  first.reset();
  client asking(second.port());
  REQUIRE(asking.send(request));
  CHECK(asking.read_response().body == "served");
  CHECK(::fcntl(kept, F_GETFD) >= 0);
  CHECK(*second.get().addresses().front().socket != kept);
  ::close(kept);
}

TEST_CASE("what is no listening stream socket is not taken") {
  desk requests;
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  for (int const socket : {::socket(AF_INET, SOCK_STREAM, 0), ::socket(AF_INET, SOCK_DGRAM, 0), pipe_ends[0], pipe_ends[1]}) {
    server::options chosen = patient_settings();
    chosen.binds.front().socket = socket;
    server::http_server http(chosen, requests);
    CHECK_THROWS_WITH_AS(http.listen(), doctest::Contains("cannot use the socket for 127.0.0.1"), std::system_error);
    ::close(socket);
  }
}

namespace {

// Keeps the I/O thread with the first request until the test lets it go.
class slow_desk final : public server::request_handler {
public:
  void handle(exchange::reply&& reply) noexcept override {
    if (!std::exchange(kept_, true)) {
      kept.set_value();
      go_on.get_future().wait();
    }
    answer(reply, "served");
  }
  int status_for(kino::ending, exchange&) noexcept override { return 500; }
  void refused(int) noexcept override {}
  void quiet() noexcept override { quiet_.store(true); }
  [[nodiscard]] bool is_quiet() const { return quiet_; }

  std::promise<void> kept;
  std::promise<void> go_on;

private:
  bool kept_ = false;
  std::atomic<bool> quiet_{false};
};

}  // namespace

TEST_CASE("a server that stops accepting takes the clients that wait in the kernel, and is not idle before") {
  slow_desk requests;
  running_http_server http(requests);
  client first(http.port());
  REQUIRE(first.send(request));
  requests.kept.get_future().wait();
  std::vector<client> waiting;
  for (int i = 0; i < 10; ++i) REQUIRE(waiting.emplace_back(http.port()).send(request));
  http.get().stop_accepting();
  http.get().begin_drain();
  first.close();
  CHECK(!requests.is_quiet());
  requests.go_on.set_value();
  for (client& each : waiting) CHECK(each.read_response().body == "served");
  await([&] { return requests.is_quiet(); });
}

TEST_CASE("a connection that is idle when the server drains may still send the request that its client has begun") {
  desk requests;
  serving_threads const serving(requests, 1, respond);
  running_http_server http(requests);
  client fresh(http.port());
  client kept(http.port());
  REQUIRE(kept.send(request));
  CHECK(kept.read_response().status == 200);
  http.get().begin_drain();
  REQUIRE(kept.send(request));
  CHECK(kept.read_response().body == "served");
  CHECK(kept.ended());
  CHECK(fresh.ended());  // after tuning::drain_grace
}

TEST_CASE("a Unix socket's file has the given mode, whatever the umask") {
  char directory[] = "/tmp/kino-listener-XXXXXX";
  REQUIRE(::mkdtemp(directory) != nullptr);
  std::string const path = std::string(directory) + "/socket";
  for (unsigned mode : {0600u, 0660u, 0666u}) {
    for (mode_t mask : {mode_t{0}, mode_t{0077}}) {
      desk requests;
      server::options chosen = patient_settings();
      chosen.binds.front() = {{}, 0, path, mode};
      mode_t const before = ::umask(mask);
      server::http_server http(chosen, requests);
      http.listen();
      ::umask(before);
      struct stat found{};
      CHECK(::stat(path.c_str(), &found) == 0);
      CHECK((found.st_mode & 0777) == mode);
      ::unlink(path.c_str());
    }
  }
  ::rmdir(directory);
}

#ifdef __linux__
TEST_CASE("an abstract socket is found only by its exact name and has no file") {
  std::string const name = "kino-listener-" + std::to_string(::getpid());
  desk requests;
  server::options chosen = patient_settings();
  chosen.binds.front() = {{}, 0, "@" + name};
  running_http_server http(requests, chosen);
  serving_threads const serving(requests, 1, respond);
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  name.copy(to.sun_path + 1, name.size());
  std::size_t const length = offsetof(sockaddr_un, sun_path) + 1 + name.size();
  client asking = client::on(to, length);
  REQUIRE(asking.send(request));
  CHECK(asking.read_response().body == "served");
  CHECK(!client::on(to, sizeof to).send(request));  // the name and zeros
  CHECK(!client::on(to, length - 1).send(request));
  CHECK(::access(("@" + name).c_str(), F_OK) != 0);
}
#endif
