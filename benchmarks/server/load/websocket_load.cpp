// SPDX-License-Identifier: MIT
//
// A load generator for WebSockets on 127.0.0.1. Prints one line of JSON.
//
//   websocket_load --port P [--path /echo] [--connections 64] [--warmup 0.3] [--seconds 2]
//        Every connection sends its next message when it has the echo of the one before.
//   websocket_load --port P --path /broadcast --connections N --messages M
//        Prints "ready" once all are open and the server has sent each a message, which tells that it has subscribed; waits
//        for a line from standard input. Then one connection sends a message, and all wait for it; M times.
//   websocket_load --port P --connections N --hold
//        Prints "ready" once all are open, and keeps them until its standard input ends.

#include "histogram.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace {

constexpr std::size_t payload_size = 64;
constexpr std::size_t opening_at_once = 100;  // less than any server's backlog
constexpr std::int64_t second = 1'000'000'000;

std::int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * second + time.tv_nsec;
}

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  auto const in_seconds = [](timeval const& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return in_seconds(used.ru_utime) + in_seconds(used.ru_stime);
}

struct settings {
  int port = 0;
  std::string path = "/echo";
  std::size_t connections = 64;
  std::size_t messages = 0;
  double warmup = 0.3;
  double seconds = 2;
  bool hold = false;
};

settings parse(int count, char** arguments) {
  settings given;
  for (int i = 1; i < count; ++i) {
    std::string const name = arguments[i];
    if (name == "--hold") {
      given.hold = true;
      continue;
    }
    if (++i == count) throw std::invalid_argument(name + " needs a value");
    std::string const value = arguments[i];
    if (name == "--port") given.port = std::stoi(value);
    else if (name == "--path") given.path = value;
    else if (name == "--connections") given.connections = std::stoul(value);
    else if (name == "--messages") given.messages = std::stoul(value);
    else if (name == "--warmup") given.warmup = std::stod(value);
    else if (name == "--seconds") given.seconds = std::stod(value);
    else throw std::invalid_argument("unknown option " + name);
  }
  if (given.port <= 0 || given.port > 65535) throw std::invalid_argument("--port is required");
  return given;
}

// The message of all connections, and the frame that a client sends. Its mask is zero.
std::string const payload(payload_size, 'k');
std::string const frame = std::string{'\x81', static_cast<char>(0x80 | payload_size), '\0', '\0', '\0', '\0'} + payload;

struct connection {
  int socket = -1;
  bool open = false;
  std::int64_t since = 0;    // when it has sent its message
  std::size_t received = 0;  // messages
  std::string unread;        // less than a frame, or than the response to the handshake
};

// Any error ends the program: a benchmark with errors has no result.
class clients {
public:
  explicit clients(settings const& given) : given_(given), epoll_(epoll_create1(0)), all_(given.connections), buffer_(1 << 16) {
    if (epoll_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  }

  void open_all() {
    std::int64_t const deadline = now() + 120 * second;
    for (std::size_t begun = 0; open_ != all_.size();) {
      while (begun != all_.size() && begun - open_ < opening_at_once) open(begun++);
      if (now() > deadline) throw std::runtime_error(std::to_string(open_) + " of " + std::to_string(all_.size()) + " connections were opened in 120 s");
      poll();
    }
  }

  void echo() {
    double const cpu = cpu_seconds();
    std::int64_t const begin = now() + to_nanoseconds(given_.warmup);
    std::int64_t const end = begin + to_nanoseconds(given_.seconds);
    std::uint64_t before = 0;
    bool measuring = false;
    echoes_ = true;
    for (connection& each : all_) send(each);
    std::int64_t last = now();
    for (std::int64_t time = now(); time < end; time = now()) {
      if (!measuring && time >= begin) {
        measuring = true;
        before = completed_;
        latency_ = {};
      }
      std::uint64_t const so_far = completed_;
      poll();
      if (completed_ != so_far) last = now();
      if (now() - last > 10 * second) throw std::runtime_error("no echo for 10 s");
    }
    std::size_t const starving = static_cast<std::size_t>(std::count_if(all_.begin(), all_.end(), [](connection const& one) { return one.received == 0; }));
    if (starving != 0) throw std::runtime_error(std::to_string(starving) + " connections got no echo");
    auto const us = [&](double share) { return static_cast<double>(latency_.quantile(share)) / 1e3; };
    std::printf("{\"rate\":%.1f,\"requests\":%llu,\"latency_us\":{\"p50\":%.1f,\"p99\":%.1f},\"generator_cpu\":%.3f}\n",
                static_cast<double>(completed_ - before) / given_.seconds, static_cast<unsigned long long>(completed_), us(0.5), us(0.99),
                (cpu_seconds() - cpu) / (given_.warmup + given_.seconds));
  }

  void broadcast() {
    await_all("subscribed");
    hold(1);
    std::vector<double> rounds;
    for (std::size_t round = 0; round != given_.messages; ++round) {
      completed_ = 0;
      std::int64_t const begin = now();
      send(all_[round * 7919 % all_.size()]);
      await_all("got the message");
      rounds.push_back(static_cast<double>(now() - begin) / 1e6);
    }
    std::size_t const wrong = static_cast<std::size_t>(
        std::count_if(all_.begin(), all_.end(), [&](connection const& one) { return one.received != given_.messages + 1; }));
    if (wrong != 0) throw std::runtime_error(std::to_string(wrong) + " subscribers have another number of messages");
    std::sort(rounds.begin(), rounds.end());
    std::printf("{\"requests\":%zu,\"median_ms\":%.2f,\"worst_ms\":%.2f}\n", given_.messages * all_.size(), rounds[rounds.size() / 2], rounds.back());
  }

  /// Waits for so many bytes, or for the end, of standard input.
  void hold(std::size_t bytes = SIZE_MAX) {
    std::puts("ready");
    std::fflush(stdout);
    char byte = 0;
    while (bytes-- != 0 && ::read(STDIN_FILENO, &byte, 1) > 0) {}
  }

private:
  // Until each connection has one more message.
  void await_all(char const* what) {
    std::int64_t const deadline = now() + 30 * second;
    while (completed_ < all_.size()) {
      poll();
      if (now() > deadline) throw std::runtime_error(std::to_string(completed_) + " of " + std::to_string(all_.size()) + " clients have " + what + " within 30 s");
    }
  }

  static std::int64_t to_nanoseconds(double seconds) { return static_cast<std::int64_t>(seconds * 1e9); }

  void open(std::size_t number) {
    connection& made = all_[number];
    made.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(given_.port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (made.socket < 0 || ::connect(made.socket, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
      throw std::system_error(errno, std::generic_category(), "connection " + std::to_string(number));
    }
    int const on = 1;
    ::setsockopt(made.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    wanted.data.u64 = number;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, made.socket, &wanted);
    write(made, "GET " + given_.path + " HTTP/1.1\r\nhost: 127.0.0.1:" + std::to_string(given_.port) +
                    "\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
                    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  }

  void write(connection& to, std::string_view bytes) {
    // So little is outstanding on a connection that the kernel takes it at once.
    if (::send(to.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) {
      throw std::system_error(errno, std::generic_category(), "send");
    }
  }
  void send(connection& to) {
    to.since = now();
    write(to, frame);
  }

  void poll() {
    epoll_event ready[256];
    int const count = epoll_wait(epoll_, ready, 256, 100);
    for (int i = 0; i < count; ++i) read(all_[ready[i].data.u64]);
  }

  void read(connection& from) {
    ssize_t const length = ::recv(from.socket, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN) return;
    if (length <= 0) throw std::runtime_error(from.open ? "the server has closed a connection" : "the server has closed a connection in its handshake");
    from.unread.append(buffer_.data(), static_cast<std::size_t>(length));
    if (!from.open && !take_handshake(from)) return;
    while (take_frame(from)) {}
  }

  bool take_handshake(connection& from) {
    std::size_t const end = from.unread.find("\r\n\r\n");
    if (end == from.unread.npos) return false;
    if (!from.unread.starts_with("HTTP/1.1 101")) throw std::runtime_error("no WebSocket: " + from.unread.substr(0, from.unread.find('\r')));
    from.unread.erase(0, end + 4);
    from.open = true;
    ++open_;
    return true;
  }

  bool take_frame(connection& from) {
    std::string& bytes = from.unread;
    if (bytes.size() < 2) return false;
    auto const opcode = static_cast<unsigned char>(bytes[0]) & 0xf;
    std::size_t const length = static_cast<unsigned char>(bytes[1]);
    if (length > 125) throw std::runtime_error("a frame of the server is longer than what was sent");
    if (bytes.size() < 2 + length) return false;
    bool const message = opcode == 1 || opcode == 2;
    if (opcode == 8) throw std::runtime_error("the server has sent a close frame");
    if (message && bytes.compare(2, length, payload) != 0) throw std::runtime_error("another message than was sent");
    bytes.erase(0, 2 + length);
    if (!message) return true;  // a ping; a run is too short for its answer to matter
    ++from.received;
    ++completed_;
    if (echoes_) {
      latency_.add(now() - from.since);
      send(from);
    }
    return true;
  }

  settings const given_;
  int const epoll_;
  std::vector<connection> all_;
  std::vector<char> buffer_;
  std::size_t open_ = 0;
  std::uint64_t completed_ = 0;
  bool echoes_ = false;
  load::histogram latency_;
};

}  // namespace

int main(int count, char** arguments) {
  try {
    settings const given = parse(count, arguments);
    clients all(given);
    all.open_all();
    if (given.hold) all.hold();
    else if (given.messages != 0) all.broadcast();
    else all.echo();
    return 0;
  } catch (std::exception const& problem) {
    std::printf("{\"failed\":\"%s\"}\n", problem.what());
    return 2;
  }
}
