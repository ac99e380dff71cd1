// SPDX-License-Identifier: MIT

#include "listener.hpp"

#include "front_end.hpp"
#include "log.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace kino::server {

namespace {

endpoint text_of(sockaddr_storage const& from) {
  char text[INET6_ADDRSTRLEN] = "";
  if (from.ss_family == AF_INET) {
    auto const& v4 = reinterpret_cast<sockaddr_in const&>(from);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return {text, std::to_string(ntohs(v4.sin_port))};
  }
  if (from.ss_family == AF_INET6) {
    auto const& v6 = reinterpret_cast<sockaddr_in6 const&>(from);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      ::inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, text, sizeof text);
    } else {
      ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    }
    return {text, std::to_string(ntohs(v6.sin6_port))};
  }
  return {"127.0.0.1", ""};  // Over a Unix socket the client is on this machine.
}

int open_socket(int family) {
  int const socket = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) throw std::system_error(errno, std::generic_category(), "kino: socket");
  return socket;
}

}  // namespace

listener::listener(front_end& front, asio::io_context& context, bind_address const& where)
    : front_(front), where_(where), socket_(context), pause_(context) {
  if (where_.local()) {
    bind_local();
  } else {
    bind_tcp();
  }
  if (::listen(socket_.native_handle(), SOMAXCONN) != 0) fail("listen on", errno);
}

void listener::fail(char const* doing, int error) const {
  throw std::system_error(error, std::generic_category(),
                          std::string("kino: cannot ") + doing + " " + where_.text());
}

void listener::bind_tcp() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  std::string const port = std::to_string(where_.port);
  if (int const error = ::getaddrinfo(where_.host.c_str(), port.c_str(), &hints, &found)) {
    throw std::system_error(EADDRNOTAVAIL, std::generic_category(),
                            "kino: cannot resolve " + where_.text() + " (" +
                                ::gai_strerror(error) + ")");
  }
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> const owned(found, &::freeaddrinfo);
  socket_.assign(open_socket(found->ai_family));
  int const socket = socket_.native_handle();
  int const on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Accepted sockets inherit it: an answer must not wait for the acknowledgement of the last.
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::bind(socket, found->ai_addr, found->ai_addrlen) != 0) fail("listen on", errno);
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    fail("find the port of", errno);
  }
  local_ = text_of(bound);
  where_.port = static_cast<std::uint16_t>(std::stoi(local_.port));
}

void listener::bind_local() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (where_.path.size() >= sizeof address.sun_path) fail("listen on", ENAMETOOLONG);
  std::memcpy(address.sun_path, where_.path.data(), where_.path.size());
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  socket_.assign(open_socket(AF_UNIX));
  int const socket = socket_.native_handle();
  if (::bind(socket, generic, sizeof address) != 0) fail("listen on", errno);
  local_ = {"localhost", "80"};
}

void listener::start() { wait(); }

void listener::stop() {
  asio::error_code ignored;
  pause_.cancel();
  socket_.close(ignored);
}

void listener::resume() { wait(); }

void listener::wait() {
  if (waiting_ || !socket_.is_open()) return;
  waiting_ = true;
  socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [this](asio::error_code const& error) {
                       waiting_ = false;
                       if (error || !socket_.is_open()) return;
                       accept();
                     });
}

void listener::accept() {
  for (;;) {
    // What is beyond the limit waits in the kernel's backlog.
    if (!front_.admit()) return;
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    int const socket = ::accept4(socket_.native_handle(), reinterpret_cast<sockaddr*>(&from),
                                 &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket >= 0) {
      front_.connected(socket, text_of(from), local_);
      continue;
    }
    int const error = errno;
    front_.connection_closed(false);  // takes the admission back
    if (error == EAGAIN || error == EWOULDBLOCK) return wait();
    // These are the errors of one connection that is already gone.
    if (error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM) continue;
    return back_off(error);
  }
}

void listener::back_off(int error) {
  log_line("cannot accept a connection on " + where_.text() + ": " + std::strerror(error) +
           "; trying again in a moment");
  pause_.expires_after(std::chrono::milliseconds(200));
  pause_.async_wait([this](asio::error_code const& cancelled) {
    if (!cancelled) accept();
  });
}

}  // namespace kino::server
