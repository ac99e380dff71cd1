// SPDX-License-Identifier: MIT
//
// For tests of http_server: a server on a free port, a handler that queues requests for the test's threads, and a client.

#pragma once

#include "http/exchange.hpp"
#include "http/response_writer.hpp"
#include "net/http_server.hpp"

#include <kino/channel.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <asio/post.hpp>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <future>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace http_server_test {

namespace server = kino::server;

/// Queues requests until a thread of the test takes them.
class desk final : public server::request_handler {
public:
  ~desk() { requests_.close(); }

  /// Waits for the next request; empty once the desk is closed.
  server::exchange::reply next() {
    server::exchange::reply taken;
    static_cast<void>(requests_.pop(taken));
    return taken;
  }
  void close() { requests_.close(); }
  /// The numbers of requests that the handler got, and that the http_server itself rejected.
  [[nodiscard]] int handed_over() const { return handed_over_; }
  [[nodiscard]] int refusals() const { return refusals_; }

private:
  void handle(server::exchange::reply&& reply) noexcept override {
    ++handed_over_;
    try {
      static_cast<void>(requests_.try_push(std::move(reply)));
    } catch (std::bad_alloc const&) {
      reply.expire();
    }
  }
  int status_for(kino::ending how, server::exchange&) noexcept override {
    return how == kino::ending::expired ? 503 : 500;
  }
  void refused(int) noexcept override { ++refusals_; }
  void quiet() noexcept override {}

  kino::channel<server::exchange::reply> requests_{1024};
  std::atomic<int> handed_over_{0};
  std::atomic<int> refusals_{0};
};

/// Threads that call `serve` with every request of a desk, or of what has `next` and `close` like one, until it is closed.
template <class Requests>
class serving_threads {
public:
  serving_threads(Requests& requests, std::size_t count, std::function<void(server::exchange::reply const&)> serve)
      : requests_(requests), serve_(std::move(serve)) {
    for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this] { run(); });
  }
  ~serving_threads() {
    requests_.close();
    for (std::thread& each : threads_) each.join();
  }

private:
  void run() {
    while (server::exchange::reply const each = requests_.next()) serve_(each);
  }

  Requests& requests_;
  std::function<void(server::exchange::reply const&)> const serve_;
  std::vector<std::thread> threads_;
};

/// Settings with a free port, and with deadlines too far away to expire by accident.
inline server::options patient_settings(unsigned io_threads = 1) {
  server::options chosen;
  chosen.binds.push_back({"127.0.0.1", 0, {}});
  chosen.io_threads = io_threads;
  chosen.connection.header_timeout = std::chrono::hours(1);
  chosen.connection.body_timeout = std::chrono::hours(1);
  chosen.connection.keep_alive_timeout = std::chrono::hours(1);
  chosen.connection.min_body_rate = chosen.connection.min_response_rate = 0;
  return chosen;
}

/// The same, with all request bodies streamed.
inline server::options streaming_settings(unsigned io_threads = 1) {
  server::options chosen = patient_settings(io_threads);
  chosen.stream_body = {"/"};
  return chosen;
}

class running_http_server {
public:
  explicit running_http_server(server::request_handler& handler,
                             server::options const& chosen = patient_settings())
      : http_(chosen, handler) {
    http_.listen();
    http_.start();
  }
  ~running_http_server() { http_.stop(); }
  [[nodiscard]] std::uint16_t port() const { return http_.addresses().front().port; }
  [[nodiscard]] server::http_server& get() { return http_; }
  /// Lets the first I/O thread do nothing, from now on until `go_on` is ready.
  void keep_busy(std::future<void> go_on) {
    std::promise<void> begun;
    auto const is_busy = begun.get_future();
    asio::post(http_.first_thread().context(), [begun = std::move(begun), go_on = std::move(go_on)]() mutable {
      begun.set_value();
      go_on.wait();
    });
    is_busy.wait();
  }

private:
  server::http_server http_;
};

/// The result of a system call, which is repeated while it fails with EINTR: on Linux, a pause of the process (SIGSTOP, a frozen
/// container, a debugger) interrupts the calls on a socket that has a timeout.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

struct response {
  int status = 0;  // 0: the connection ended before the response was complete
  std::string body;
};

/// A client whose reads and writes time out after a minute.
class client {
public:
  /// A client that is not connected yet.
  client() : client(family{AF_INET}) {}
  explicit client(std::uint16_t port) : client() { static_cast<void>(connect(port)); }
  client(client&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), seen_(std::move(other.seen_)) {}
  ~client() { close(); }

  /// A client on the Unix socket of that address; not connected if that fails.
  static client on(sockaddr_un const& to, std::size_t length) {
    client made(family{AF_UNIX});
    auto const* const address = reinterpret_cast<sockaddr const*>(&to);
    if (!made.connect(address, static_cast<socklen_t>(length))) made.close();
    return made;
  }

  bool connect(std::uint16_t port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(reinterpret_cast<sockaddr*>(&to), sizeof to);
  }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  void half_close() { ::shutdown(socket_, SHUT_WR); }
  /// Closes the connection with a reset.
  void reset() {
    linger const at_once{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }

  /// Limits the kernel's buffer for bytes that the client has not read.
  void receive_little_ahead(int bytes = 4096) {
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
  /// Sends all bytes; false if the connection has ended.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t const sent = uninterrupted([&] { return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  /// Reads up to and including `end`; returns less if the connection ends.
  std::string read_through(std::string_view end) {
    while (seen_.find(end) == seen_.npos && receive()) {}
    std::size_t const found = seen_.find(end);
    return take(found == seen_.npos ? seen_.size() : found + end.size());
  }
  /// Reads the next response; it must have a Content-Length.
  response read_response() {
    std::string const head = read_through("\r\n\r\n");
    if (!head.ends_with("\r\n\r\n")) return {};
    static constexpr std::string_view name = "ontent-length: ";  // and Content-
    std::size_t const at = head.find(name);
    std::size_t const length =
        at == head.npos ? 0 : std::strtoul(head.c_str() + at + name.size(), nullptr, 10);
    while (seen_.size() < length && receive()) {}
    if (seen_.size() < length) return seen_.clear(), response{};
    return {std::atoi(head.c_str() + sizeof "HTTP/1.1"), take(length)};
  }
  /// Whether a read has timed out. Tests must check that none has.
  [[nodiscard]] bool waited_in_vain() const { return waited_in_vain_; }
  /// Waits for bytes and returns at most `most` of them; none at the end of the connection.
  std::string read_some(std::size_t most) {
    if (seen_.empty()) static_cast<void>(receive());
    return take(std::min(most, seen_.size()));
  }
  /// Waits for more bytes; returns whether the connection has ended instead.
  [[nodiscard]] bool ended() { return seen_.empty() && !receive(); }

private:
  enum class family : int {};
  explicit client(family of) : socket_(::socket(static_cast<int>(of), SOCK_STREAM, 0)) {
    timeval const timeout{60, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  }
  bool connect(sockaddr const* to, socklen_t length) {
    return uninterrupted([&] { return ::connect(socket_, to, length); }) == 0;
  }
  bool receive() {
    char bytes[16384];
    ssize_t const length = uninterrupted([&] { return ::recv(socket_, bytes, sizeof bytes, 0); });
    if (length > 0) seen_.append(bytes, static_cast<std::size_t>(length));
    waited_in_vain_ |= length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return length > 0;
  }
  std::string take(std::size_t length) {
    std::string const taken = seen_.substr(0, length);
    seen_.erase(0, length);
    return taken;
  }

  int socket_;
  std::string seen_;
  bool waited_in_vain_ = false;
};

/// The number of open file descriptors of this process.
inline int open_descriptors() {
  int count = 0;
  for (int i = 0; i < 4096; ++i) count += ::fcntl(i, F_GETFD) != -1;
  return count;
}

/// Answers with status 200 and `body`.
inline void answer(server::exchange::reply const& reply, std::string_view body, bool gather = false) {
  server::response_head& head = server::exchange::of(reply).response();
  static_cast<void>(head.start(200));
  iovec const all = server::piece(body);
  reply.answer({&head, {&all, 1}, true, gather});
}

/// Begins a response with status 200 whose body is written in pieces.
inline server::response_writer begin_answer(server::exchange::reply const& reply, std::optional<std::uint64_t> length) {
  server::response_head& head = server::exchange::of(reply).response();
  static_cast<void>(head.start(200));
  if (length) static_cast<void>(head.set_length(*length));
  return server::response_writer(reply);
}

/// Reads the whole body of a request as it arrives, or the received part if the client disconnects.
inline std::string read_body(server::exchange& from) {
  std::string all;
  char bytes[8192];
  for (;;) {
    auto const got = from.read(bytes, sizeof bytes);
    all.append(bytes, got.length);
    if (got.length != 0) continue;
    if (got.what != server::body_pipe::state::open) return all;
    if (from.body().await()) static_cast<void>(from.body().arrivals().park(std::nullopt));
  }
}

}  // namespace http_server_test
