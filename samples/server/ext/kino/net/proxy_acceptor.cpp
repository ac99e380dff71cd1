// SPDX-License-Identifier: MIT

#include "net/proxy_acceptor.hpp"

#include "base/deadline.hpp"
#include "base/log.hpp"
#include "base/readiness.hpp"
#include "http/rejection.hpp"
#include "net/descriptor_readiness.hpp"
#include "net/http_server.hpp"
#include "net/io_thread.hpp"
#include "net/proxy_header.hpp"
#include "net/turn_away.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>

namespace kino::server {

namespace {

constexpr std::size_t peek_size = 512;

// The bytes that wait in `socket`, without taking them; as `read_some` of a transport.
io_result peek(int socket, std::span<char> into) noexcept {
  ssize_t got = 0;
  do {
    got = ::recv(socket, into.data(), into.size(), MSG_PEEK | MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got > 0) return {io_result::state::done, static_cast<std::size_t>(got)};
  if (got == 0) return {io_result::state::end};
  bool const later = errno == EAGAIN || errno == EWOULDBLOCK;
  return {later ? io_result::state::wants_readable : io_result::state::failed};
}

}  // namespace

// One connection whose header is awaited. It peeks, and takes what belongs to the header, so that what follows is still in
// the socket for TLS or HTTP.
class proxy_acceptor::reception final : private readiness::waiter {
public:
  reception(proxy_acceptor& in, std::unique_ptr<transport> client, endpoint peer, endpoint const& local)
      : in_(in),
        client_(std::move(client)),
        events_(in.home_.context(), client_->descriptor()),
        due_(in.home_.deadlines(), [this] { look(true); }),
        peer_(std::move(peer)),
        local_(local) {}

  void start(clock::time_point due) {
    wait();
    due_.set(due);
    next_ = std::exchange(in_.first_, this);
    if (next_) next_->previous_ = this;
    in_.http_.enter_live();
  }
  void due_by(clock::time_point when) noexcept { due_.set(std::min(when, due_.due())); }
  [[nodiscard]] reception* next() const { return next_; }
  void close() noexcept { end(); }

  void hold() noexcept override { ++references_; }
  void drop() noexcept override {
    if (--references_ == 0) delete this;
  }

private:
  ~reception() = default;

  void wait() { events_.wait(readiness::event::readable, readiness::reference(*this)); }

  void ready(readiness::event) noexcept override { look(false); }

  // Takes what has arrived. `late`: no more is waited for. What is there came in time: this thread may not have run since.
  void look(bool late) noexcept {
    hold();
    try {
      if (client_ && receive()) late ? too_late() : wait();
    } catch (std::exception const& failed) {
      log_rejection(peer_, {0, failed.what()});
      end();
    }
    drop();
  }

  // Returns whether more of the header has to come.
  [[nodiscard]] bool receive() {
    char bytes[peek_size];
    for (;;) {
      io_result const seen = peek(client_->descriptor(), bytes);
      if (seen.what == io_result::state::wants_readable) return true;
      if (!seen.done()) return end(), false;  // A health check that only connects, perhaps.
      proxy_header::result const got = header_.read({bytes, seen.bytes});
      take(got.taken);
      if (got.what == proxy_header::state::complete) return forward(), false;
      if (got.what == proxy_header::state::invalid) return refuse(), false;
    }
  }

  // They are there: `peek` has returned them.
  void take(std::size_t length) {
    char bytes[peek_size];
    while (length != 0) {
      io_result const taken = client_->read_some(std::span(bytes).first(length));
      if (!taken.done()) return;
      length -= taken.bytes;
    }
  }

  void forward() {
    endpoint client = peer_;
    if (auto named = header_.client()) {
      client = *std::move(named);
      client.trusted = in_.http_.trusts(client);
    }
    http_server& http = in_.http_;
    try {
      http.accepted(leave(), std::move(client), local_);
    } catch (std::exception const& failed) {
      log_rejection(peer_, {0, failed.what()});
      http.connection_closed(true);
      return drop();
    }
    http.leave_live();  // It is a connection now.
    drop();
  }

  void refuse() noexcept {
    log_refusal();
    if (!local_.secure) turn_away(*client_, in_.http_.handler(), 400);
    end();
  }

  void log_refusal() noexcept try {
    std::string const why = std::string("a trusted proxy must send a PROXY protocol header: ") + header_.why();
    log_rejection(peer_, {400, why.c_str()});
  } catch (std::bad_alloc const&) {
    log_rejection(peer_, {400, header_.why()});
  }

  void too_late() noexcept {
    if (!in_.http_.draining()) log_rejection(peer_, {0, "the PROXY protocol header did not arrive within header_timeout"});
    end();
  }

  // Stops waiting; returns the connection.
  [[nodiscard]] std::unique_ptr<transport> leave() noexcept {
    events_.stop();
    due_.clear();
    (previous_ ? previous_->next_ : in_.first_) = next_;
    if (next_) next_->previous_ = previous_;
    next_ = previous_ = nullptr;
    return std::move(client_);
  }

  void end() noexcept {
    if (!client_) return;
    http_server& http = in_.http_;
    leave().reset();
    http.connection_closed(true);
    drop();
  }

  proxy_acceptor& in_;
  std::unique_ptr<transport> client_;  // null once it has left
  descriptor_readiness events_;
  deadline due_;
  endpoint const peer_;
  endpoint const& local_;
  proxy_header header_;
  std::size_t references_ = 1;  // one as long as it has the connection
  reception* previous_ = nullptr;
  reception* next_ = nullptr;
};

proxy_acceptor::~proxy_acceptor() = default;

void proxy_acceptor::accept(std::unique_ptr<transport> client, endpoint peer, endpoint const& local) {
  auto* const fresh = new reception(*this, std::move(client), std::move(peer), local);
  try {
    fresh->start(clock::now() + (http_.draining() ? tuning::drain_grace : timeout_));
  } catch (...) {
    fresh->drop();
    throw;
  }
}

void proxy_acceptor::drain() noexcept {
  clock::time_point const due = clock::now() + tuning::drain_grace;
  for (reception* one = first_; one; one = one->next()) one->due_by(due);
}

void proxy_acceptor::close() noexcept {
  while (first_) first_->close();
}

}  // namespace kino::server
