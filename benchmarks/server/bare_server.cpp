// SPDX-License-Identifier: MIT
//
// The server's front end without Ruby: the thread that reads a request answers "Hello, World!". Its rate is the
// upper bound for the way through queue, Ractor and Rack.
//
//   bare_server PORT [IO THREADS]

#include "net/http_server.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

namespace {

namespace server = kino::server;

class greeter final : public server::request_handler {
public:
  void handle(server::exchange::reply&& reply) noexcept override {
    server::response_head& head = server::exchange::of(reply).response();
    static_cast<void>(head.start(200));
    static_cast<void>(head.add("content-type", "text/plain"));
    iovec const text = server::piece("Hello, World!");
    static_cast<void>(reply.answer({&head, {&text, 1}, true}));
  }
};

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fputs("bare_server PORT [IO THREADS]\n", stderr);
    return 2;
  }
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    server::options settings;
    settings.binds.push_back({"127.0.0.1", static_cast<std::uint16_t>(std::atoi(arguments[1])), {}});
    settings.connection.max_connections = 10'000;
    settings.io_threads = count > 2 ? static_cast<unsigned>(std::atoi(arguments[2])) : 1;
    greeter handler;
    server::http_server http(settings, handler);
    http.listen();
    http.start();
    int signal = 0;
    sigwait(&ends, &signal);
    http.stop();
  } catch (std::exception const& problem) {
    std::fprintf(stderr, "bare_server: %s\n", problem.what());
    return 1;
  }
  return 0;
}
