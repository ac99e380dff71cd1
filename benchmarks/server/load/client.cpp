// SPDX-License-Identifier: MIT

#include "client.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace load {

std::int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

client::client(plan const& p, std::size_t first, std::size_t stride)
    : plan_(p), epoll_(epoll_create1(EPOLL_CLOEXEC)), buffer_(256 * 1024) {
  if (epoll_ < 0) throw std::runtime_error("epoll_create1 failed");
  for (std::size_t number = first; number < p.connections; number += stride) {
    connections_.emplace_back(p.expected).number = number;
  }
}

client::~client() {
  for (connection& c : connections_) disconnect(c);
  close(epoll_);
}

void client::run() {
  start_ = now();
  for (connection& c : connections_) {
    connect(c);
    if (!open_loop()) begin_request(c, start_);
  }
  epoll_event events[256];
  for (;;) {
    std::int64_t const time = now();
    if (time >= plan_.end + plan_.grace || (time >= plan_.end && (!open_loop() || all_answered()))) break;
    std::int64_t wake = plan_.end + plan_.grace;
    if (open_loop()) wake = std::min(wake, start_due(time));
    else wake = plan_.end;
    std::int64_t const nanoseconds = std::max<std::int64_t>(0, std::min<std::int64_t>(wake - time, 10'000'000));
    timespec const timeout{0, static_cast<long>(nanoseconds)};
    int const count = epoll_pwait2(epoll_, events, 256, &timeout, nullptr);
    if (count < 0 && errno != EINTR) throw std::runtime_error("epoll_pwait2 failed");
    for (int i = 0; i < count; ++i) {
      connection& c = connections_[events[i].data.u32];
      if (c.busy && c.socket >= 0 && (events[i].events & EPOLLOUT)) send_some(c);
      if (c.socket >= 0 && (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) read_some(c);
    }
  }
  count_waiting(now());
  for (connection const& c : connections_) result_.per_connection.push_back(c.completed);
}

void client::connect(connection& c) {
  c.socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(plan_.port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);  // the only supported address
  int const yes = 1;
  setsockopt(c.socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (::connect(c.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
    ++result_.connect_errors;
    disconnect(c);
    return;
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u32 = static_cast<std::uint32_t>(&c - connections_.data());
  epoll_ctl(epoll_, EPOLL_CTL_ADD, c.socket, &event);
}

void client::disconnect(connection& c) {
  if (c.socket >= 0) close(c.socket);
  c.socket = -1;
}

void client::begin_request(connection& c, std::int64_t time) {
  c.busy = true;
  c.since = time;
  c.sent = 0;
  c.reader.restart();
  if (c.socket < 0) connect(c);
  if (c.socket >= 0) send_some(c);
}

void client::send_some(connection& c) {
  while (c.sent < plan_.request.size()) {
    ssize_t const took = send(c.socket, plan_.request.data() + c.sent, plan_.request.size() - c.sent, MSG_NOSIGNAL);
    if (took > 0) {
      c.sent += static_cast<std::size_t>(took);
    } else if (errno == EAGAIN || errno == ENOTCONN) {
      return;  // an edge follows when it is connected or writable
    } else if (errno != EINTR) {
      broken(c);
      return;
    }
  }
}

void client::read_some(connection& c) {
  for (;;) {
    ssize_t const got = recv(c.socket, buffer_.data(), buffer_.size(), 0);
    if (got > 0) {
      std::string_view const bytes(buffer_.data(), static_cast<std::size_t>(got));
      auto const state = c.busy ? c.reader.feed(bytes) : response_reader::state::malformed;
      if (state != response_reader::state::incomplete) {
        complete(c, state == response_reader::state::complete, bytes);
        return;  // a further edge follows when the server closes
      }
      if (bytes.size() < buffer_.size()) return;
    } else if (got < 0 && errno == EINTR) {
      continue;
    } else if (got < 0 && (errno == EAGAIN || errno == ENOTCONN)) {
      return;
    } else if (got == 0 && c.busy && c.reader.ended_by_close()) {
      complete(c, true, {});
      return;
    } else {
      broken(c);
      return;
    }
  }
}

void client::count_error(std::uint64_t& kind, std::string_view bytes) {
  ++kind;
  if (result_.unexpected.empty()) result_.unexpected = bytes.substr(0, 300);
}

void client::complete(connection& c, bool usable, std::string_view bytes) {
  std::int64_t const time = now();
  c.busy = false;
  if (!usable) {
    count_error(result_.body_errors, bytes);
  } else {
    if (c.reader.status() != 200) count_error(result_.status_errors, bytes);
    else if (!c.reader.body_is_right()) count_error(result_.body_errors, bytes);
    bool const timely = open_loop() ? c.since >= plan_.begin && c.since < plan_.end
                                    : time >= plan_.begin && time < plan_.end;
    if (timely) result_.latency.add(time - c.since);
    if (time >= plan_.begin && time < plan_.end) {
      ++result_.completed;
      ++c.completed;
    }
  }
  if (!usable || c.reader.closes()) {
    disconnect(c);
    ++result_.reconnects;
  }
  next(c, time);
}

// The server may close an idle connection, but not one with an outstanding request.
void client::broken(connection& c) {
  disconnect(c);
  if (!c.busy) return;
  ++result_.socket_errors;
  c.busy = false;
  std::int64_t const time = now();
  // Not immediately: if the server refuses all connections, this would recurse without end.
  if (open_loop()) return;
  if (result_.socket_errors < 10'000) begin_request(c, time);
}

void client::next(connection& c, std::int64_t time) {
  if (time >= plan_.end && !open_loop()) return;
  if (!open_loop()) {
    begin_request(c, time);
    return;
  }
  std::int64_t const when = due(c, c.turn);
  if (when <= time && when < plan_.end) {
    ++c.turn;
    begin_request(c, when);
  }
}

// The schedules of the connections are spread evenly over one interval.
std::int64_t client::due(connection const& c, std::uint64_t turn) const {
  double const place = static_cast<double>(c.number) + static_cast<double>(turn) * static_cast<double>(plan_.connections);
  return start_ + static_cast<std::int64_t>(place * 1e9 / plan_.rate);
}

// Starts due requests on idle connections; returns the time of the next one.
std::int64_t client::start_due(std::int64_t time) {
  std::uint64_t const round = timetable_ / connections_.size();
  for (std::uint64_t turn = round;; ++timetable_, turn = timetable_ / connections_.size()) {
    connection& c = connections_[timetable_ % connections_.size()];
    std::int64_t const when = due(c, turn);
    if (when > time || when >= plan_.end) return when;
    // A busy or late connection catches up later: see next.
    if (!c.busy && c.turn <= turn) {
      std::int64_t const since = due(c, c.turn);
      ++c.turn;
      begin_request(c, since);
    }
  }
}

bool client::all_answered() const {
  for (connection const& c : connections_) {
    if (c.busy || due(c, c.turn) < plan_.end) return false;
  }
  return true;
}

void client::count_waiting(std::int64_t time) {
  for (connection& c : connections_) {
    if (!open_loop()) {
      if (c.busy) result_.oldest = std::max(result_.oldest, time - c.since);
      continue;
    }
    auto count = [&](std::int64_t since) {
      if (since < plan_.begin) return;
      ++result_.unfinished;
      result_.latency.add(time - since);
    };
    if (c.busy) count(c.since);
    for (; due(c, c.turn) < plan_.end; ++c.turn) count(due(c, c.turn));
  }
}

}  // namespace load
