// SPDX-License-Identifier: MIT
//
// The server's front end without Ruby: the thread that reads a request answers "Hello, World!". Its rate is the
// upper bound for the way through queue, Ractor and Rack.
//
//   bare_server PORT [IO THREADS]

#include "net/http_server.hpp"
#include "http1/response_head.hpp"

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

namespace {

namespace server = kino::server;

class greeter final : public server::request_handler {
public:
  void handle(server::exchange::reply&& reply) noexcept override {
    server::exchange& request = server::exchange::of(reply);
    std::string_view const text = "Hello, World!";
    bool const keep = request.decide_keep_alive();
    server::byte_buffer& head buffer = request.head_buffer();
    server::response_head head(head buffer);
    static_cast<void>(head.status(200));
    static_cast<void>(head.header("content-type", "text/plain"));
    head.finish({server::framing::length, text.size(), keep, request.head().minor_version == 0});
    std::array<iovec, 2> pieces{server::piece(head buffer.view()), server::piece(text)};
    static_cast<void>(reply.answer({pieces, true, keep}));
  }
  int status_for(kino::ending, server::exchange&) noexcept override { return 500; }
  void refused(int) noexcept override {}
  void quiet() noexcept override {}
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
