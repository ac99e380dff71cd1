// SPDX-License-Identifier: MIT

#include "net/listener.hpp"

#include "base/ip_address.hpp"
#include "base/log.hpp"
#include "net/descriptor_readiness.hpp"
#include "net/http_server.hpp"
#include "net/io_thread.hpp"
#include "net/plain_transport.hpp"
#include "net/turn_away.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace kino::server {

namespace {

endpoint text_of(sockaddr_storage const& from) {
  if (from.ss_family == AF_INET) {
    auto const& v4 = reinterpret_cast<sockaddr_in const&>(from);
    auto const* const bytes = reinterpret_cast<std::uint8_t const*>(&v4.sin_addr);
    return {ip_address::v4(bytes).text(), std::to_string(ntohs(v4.sin_port))};
  }
  if (from.ss_family == AF_INET6) {
    auto const& v6 = reinterpret_cast<sockaddr_in6 const&>(from);
    return {ip_address::v6(v6.sin6_addr.s6_addr).text(), std::to_string(ntohs(v6.sin6_port))};
  }
  return {"127.0.0.1", ""};  // Over a Unix socket the client is on this machine.
}

// So many clients are turned away in a row; then connections have their turn.
constexpr std::size_t refusals_in_a_row = 256;

}  // namespace

listener::listener(http_server& http, io_thread& home, bind_address const& where)
    : http_(http), where_(where), given_(where.socket.has_value()), socket_(home.context()), pause_(home.deadlines(), [this] { go_on(); }) {
  if (where_.socket) {
    take(*where_.socket);
  } else if (where_.local()) {
    bind_local();
  } else {
    bind_tcp();
  }
  find_address();
  if (::listen(socket_.native_handle(), SOMAXCONN) != 0) fail("listen on", errno);
  where_.socket = socket_.native_handle();
}

void listener::fail(char const* doing, int error) const {
  throw std::system_error(error, std::generic_category(),
                          std::string("kino: cannot ") + doing + " " + where_.text());
}

// `socket`: a result of socket_calls.hpp.
void listener::own(int socket) {
  if (socket < 0) fail("open a socket for", errno);
  try {
    socket_.assign(socket);
  } catch (...) {
    ::close(socket);
    throw;
  }
}

void listener::take(int socket) {
  int listens = 0;
  int type = 0;
  socklen_t length = sizeof listens;
  bool const told = ::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 &&
                    ::getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
  if (!told) fail("use the socket for", errno);
  if (listens == 0 || type != SOCK_STREAM) fail("use the socket for", EINVAL);
  own(duplicate_socket(socket));
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
  own(open_socket(found->ai_family));
  int const socket = socket_.native_handle();
  int const on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
#ifdef SO_REUSEPORT
  if (http_.settings().reuse_port && ::setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    fail("share the port of", errno);
  }
#endif
  if (::bind(socket, found->ai_addr, found->ai_addrlen) != 0) fail("listen on", errno);
}

// Also prepares the socket of a TCP address for accepting.
void listener::find_address() {
  if (where_.local()) {
    local_ = {"localhost", "80"};
    local_.proxy_protocol = where_.proxy_protocol;
    return;
  }
  int const socket = socket_.native_handle();
  int const on = 1;
  // Accepted sockets inherit it: a response must not wait for the acknowledgement of the previous one.
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    fail("find the port of", errno);
  }
  if (bound.ss_family != AF_INET && bound.ss_family != AF_INET6) fail("use the socket for", EAFNOSUPPORT);
  local_ = text_of(bound);
  local_.secure = where_.tls;
  local_.proxy_protocol = where_.proxy_protocol;
  where_.port = static_cast<std::uint16_t>(std::stoi(local_.port));
}

void listener::bind_local() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (where_.path.size() >= sizeof address.sun_path) fail("listen on", ENAMETOOLONG);
  std::memcpy(address.sun_path, where_.path.data(), where_.path.size());
  auto length = static_cast<socklen_t>(sizeof address);
  if (where_.abstract()) {
#ifdef __linux__
    // Every byte up to the length belongs to such a name, zeros too.
    address.sun_path[0] = '\0';
    length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + where_.path.size());
#else
    fail("listen on", EAFNOSUPPORT);  // Elsewhere it would be a file in the working directory.
#endif
  }
  own(open_socket(AF_UNIX));
  if (::bind(socket_.native_handle(), reinterpret_cast<sockaddr*>(&address), length) != 0) {
    fail("listen on", errno);
  }
  if (!where_.abstract()) set_permissions();
}

// Clients cannot connect before `listen`, so none connects with wider permissions.
void listener::set_permissions() {
  char const* const path = where_.path.c_str();
  char const* what = nullptr;
  bool const owned = where_.user || where_.group;
  if (owned && ::chown(path, where_.user.value_or(static_cast<uid_t>(-1)), where_.group.value_or(static_cast<gid_t>(-1))) != 0) {
    what = "set the owner of";
  } else if (where_.mode && ::chmod(path, static_cast<mode_t>(*where_.mode)) != 0) {
    what = "set the mode of";
  }
  if (!what) return;
  int const error = errno;
  ::unlink(path);
  fail(what, error);
}

void listener::stop(bool last) noexcept {
  stopping_ = true;
  // Clients in the kernel's queue believe that they are connected, and closing the socket would reset them. This thread may be
  // preempted before it closes the socket, for long enough to let many of them in.
  if (last) refuse_new_connections(socket_.native_handle(), !where_.local());
  if ((waiting_ || turns_.waits()) && !failing_) accept();
  asio::error_code ignored;
  pause_.clear();
  socket_.close(ignored);
}

void listener::start() noexcept { wait(); }

void listener::wait() noexcept {
  if (waiting_ || !socket_.is_open()) return;
  waiting_ = true;
  socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                     handler_in(wait_memory_, [this](asio::error_code const& error) {
                       waiting_ = false;
                       if (error || !socket_.is_open()) return;
                       accept();
                     }));
}

void listener::accept() noexcept {
  for (;;) {
    if (leaves_next()) return pause_.set(clock::now() + accept_turns::turn);
    // What is beyond the limit waits in the kernel's backlog.
    if (!http_.admit()) return make_room();
    sockaddr_storage from{};
    int const socket = accept_socket(socket_.native_handle(), from);
    if (socket >= 0) {
      take_over(socket, from);
      continue;
    }
    int const error = errno;
    http_.connection_closed(false);  // takes the admission back
    if (error == EAGAIN || error == EWOULDBLOCK) {
      turns_.level();  // the others have taken theirs
      return wait();
    }
    // These are the errors of one connection that is already gone.
    if (error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM) continue;
    if (!stopping_) back_off(error);
    return;
  }
}

// For a client that was not admitted; there may be none yet.
void listener::make_room() noexcept {
  if (!http_.displaces()) return;
  pollfd clients{socket_.native_handle(), POLLIN, 0};
  ::poll(&clients, 1, 0) == 1 ? http_.make_room() : wait();
}

// Whether another process should have the next connection, because it has fewer.
bool listener::leaves_next() noexcept {
  process_place const& place = http_.place();
  if (!stopping_ && place.ahead()) return turns_.leaves_next(place.connections(), clock::now());
  turns_.level();
  return false;
}

void listener::take_over(int socket, sockaddr_storage const& from) noexcept {
  try {
    http_.accepted(socket, text_of(from), local_);
    failing_ = false;
  } catch (std::exception const& e) {
    // It is this one client's misfortune; those behind it may be luckier.
    http_.connection_closed(false);
    log_line(e.what());
  }
}

// Without a descriptor, clients would wait for one until they give up. Returns whether no more wait.
bool listener::turn_all_away() noexcept {
  for (std::size_t left = refusals_in_a_row; left != 0 && spare_.release(); --left) {
    sockaddr_storage from{};
    int const socket = accept_socket(socket_.native_handle(), from);
    bool const empty = socket < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (socket >= 0) {
      plain_transport client(socket);
      if (!where_.tls) turn_away(client, http_.handler(), 503);  // With TLS, it would have to be told in a handshake.
    }
    if (!spare_.refill() || socket < 0) return empty;
  }
  return false;
}

void listener::back_off(int error) noexcept {
  bool const first = !std::exchange(failing_, true);
  bool const exhausted = error == EMFILE || error == ENFILE;
  try {
    if (first) {
      log_line("cannot accept connections on " + where_.text() + ": " + std::strerror(error) +
               (exhausted ? "; clients get 503: raise the limit of open files (ulimit -n), or lower max_connections"
                          : "; trying again every 200 ms"));
    }
  } catch (std::bad_alloc const&) {  // The line is lost, not the pause.
  }
  if (exhausted && turn_all_away()) return wait();
  pause_.set(clock::now() + std::chrono::milliseconds(200));
}

void listener::go_on() noexcept {
  if (!socket_.is_open()) return;
  static_cast<void>(spare_.refill());
  if (turns_.waits()) turns_.over(http_.place().connections(), clock::now());
  accept();
}

}  // namespace kino::server
