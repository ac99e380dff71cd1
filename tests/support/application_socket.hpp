// SPDX-License-Identifier: MIT
//
// An application that has taken over a connection of the server.

#pragma once

#include "stress.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace simulation_test {

/// An application_socket owns the socket that the application was given. Its calls never wait.
class application_socket {
public:
  explicit application_socket(int socket) : socket_(socket) {}
  application_socket(application_socket const&) = delete;
  ~application_socket() { close(); }

  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  void end() { ::shutdown(socket_, SHUT_WR); }
  /// The number of bytes that were taken. Sets `gone` if the other side is.
  std::size_t send(std::string_view bytes) {
    ssize_t const sent = ::send(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    gone |= sent < 0 && errno != EAGAIN;
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }
  /// What has arrived; sets `ended` at the end.
  std::string receive(std::size_t most) {
    std::string got(most, '\0');
    ssize_t const length = ::recv(socket_, got.data(), most, MSG_DONTWAIT);
    ended |= length == 0;
    gone |= length < 0 && errno != EAGAIN;
    got.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    return got;
  }
  [[nodiscard]] bool is_unix() const {
    sockaddr_storage name{};
    socklen_t length = sizeof name;
    return ::getsockname(socket_, reinterpret_cast<sockaddr*>(&name), &length) == 0 && name.ss_family == AF_UNIX;
  }
  [[nodiscard]] int descriptor() const { return socket_; }

  bool ended = false;
  bool gone = false;

private:
  int socket_;
};

/// What an application does with a connection that it has taken over.
enum class habit : std::uint32_t {
  reads_and_sends,   ///< In any order. It closes its socket when it has done both.
  closes_early,      ///< Likewise, but it closes its socket as soon as it has sent.
  reads_to_the_end,  ///< It sends when it has seen the end of what the client sends, then closes its socket.
};

/// An application of the simulation: it sends a response and reads what the client sends.
class taking_over {
public:
  taking_over(int socket, std::string_view response, habit way) : socket_(socket), response_(response), way_(way) {}

  /// Sends or receives at most `some` bytes. False if nothing could be done.
  bool step(stress::dice& chance, std::size_t some) {
    bool const reads = chance.once_in(2);
    bool const moved = reads ? receive(some) || send(some) : send(some) || receive(some);
    bool const sent_all = sent_ == response_.size();
    if (socket_.gone || (sent_all && (socket_.ended || way_ == habit::closes_early))) {
      over_ = true;
      socket_.close();
    }
    return moved || over_;
  }
  [[nodiscard]] bool over() const { return over_; }
  [[nodiscard]] std::string const& received() const { return received_; }
  /// Whether it has seen the end of what the client sends.
  [[nodiscard]] bool saw_end() const { return socket_.ended; }

private:
  bool send(std::size_t some) {
    if (sent_ == response_.size() || (way_ == habit::reads_to_the_end && !socket_.ended)) return false;
    std::size_t const length = socket_.send(std::string_view(response_).substr(sent_, some));
    sent_ += length;
    if (sent_ == response_.size() && way_ != habit::closes_early) socket_.end();
    return length != 0;
  }
  bool receive(std::size_t some) {
    if (socket_.ended) return false;
    std::size_t const before = received_.size();
    received_ += socket_.receive(some);
    return received_.size() != before || socket_.ended;
  }

  application_socket socket_;
  std::string const response_;
  habit const way_;
  std::size_t sent_ = 0;
  std::string received_;
  bool over_ = false;
};

}  // namespace simulation_test
