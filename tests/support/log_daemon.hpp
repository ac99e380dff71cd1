// SPDX-License-Identifier: MIT
//
// A stand-in for a logging daemon: a bound Unix datagram socket.

#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

class log_daemon {
public:
  log_daemon() {
    REQUIRE(::mkdtemp(directory_.data()) != nullptr);
    start();
  }
  log_daemon(log_daemon const&) = delete;
  log_daemon& operator=(log_daemon const&) = delete;
  ~log_daemon() {
    stop();
    ::rmdir(directory_.c_str());
  }

  [[nodiscard]] std::string path() const { return directory_ + "/socket"; }

  void start() {
    ::unlink(path().c_str());
    descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path().c_str());
    REQUIRE(::bind(descriptor_, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0);
  }
  // As daemons do, it may leave the file of its socket.
  void stop(bool leaves_socket = false) {
    ::close(descriptor_);
    descriptor_ = -1;
    if (!leaves_socket) ::unlink(path().c_str());
  }

  // Waits for the next datagram.
  [[nodiscard]] std::string receive() const {
    std::string bytes(1 << 20, '\0');
    ssize_t const got = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
    REQUIRE(got >= 0);
    bytes.resize(static_cast<std::size_t>(got));
    return bytes;
  }

private:
  std::string directory_ = "/tmp/kino-daemon-XXXXXX";
  int descriptor_ = -1;
};
