// SPDX-License-Identifier: MIT
//
// A line server: a native Asio thread does the networking, and handlers run in Ractors.

#include <kino/dispatch.hpp>

#include <asio/buffer.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using asio::ip::tcp;

struct request {
  std::string line;
  kino::responder<std::string> reply;
};

kino::dispatcher<request>* requests;
kino::ractor_starter workers;

// One client: reads a line, submits it, writes the answer, reads the next line. The answer is
// stored in the connection, so a request allocates nothing but its line.
class connection final : public kino::completion<std::string>,
                         public std::enable_shared_from_this<connection> {
public:
  explicit connection(tcp::socket socket) : socket_(std::move(socket)) {}

  void read() {
    asio::async_read_until(socket_, asio::dynamic_buffer(input_, longest_line), '\n',
                           [self = shared_from_this()](std::error_code error, std::size_t length) {
                             if (!error) self->submit(length);
                           });
  }

  // Stops reading lines; a pending answer is still written.
  void stop_reading() {
    std::error_code gone_already;
    socket_.shutdown(tcp::socket::shutdown_receive, gone_already);
  }

private:
  static constexpr std::size_t longest_line = 64 * 1024;

  void submit(std::size_t length) {
    in_use_ = shared_from_this();
    busy_.emplace(socket_.get_executor());
    request asked{input_.substr(0, length - 1), kino::responder<std::string>(*this)};
    input_.erase(0, length);
    // A refused request is dropped at the end of this function, which delivers `abandoned`.
    static_cast<void>(requests->try_submit(std::move(asked)));
  }

  // Runs in the thread that answers. `in_use_` keeps this object until `released`, which is called later.
  void delivered(kino::outcome<std::string>&& result) noexcept override {
    output_ = result.answered() ? std::move(result.value()) : "no worker answered";
    output_ += '\n';
    asio::post(socket_.get_executor(), [this] { write(); });
  }

  void released() noexcept override {
    asio::post(socket_.get_executor(), [self = std::move(in_use_)] { self->one_end(); });
  }

  void write() {
    asio::async_write(socket_, asio::buffer(output_),
                      [self = shared_from_this()](std::error_code error, std::size_t) {
                        if (!error) self->one_end();
                      });
  }

  // The next line can be read once the answer is written and no reference to the request is left.
  void one_end() {
    if (++ends_ < 2) return;
    ends_ = 0;
    busy_.reset();
    rearm();
    read();
  }

  tcp::socket socket_;
  std::string input_;
  std::string output_;
  std::shared_ptr<connection> in_use_;
  // While a Ractor has the request, Asio has no work and its thread would return.
  std::optional<asio::executor_work_guard<tcp::socket::executor_type>> busy_;
  int ends_ = 0;
};

class server {
public:
  server() : acceptor_(context_, {asio::ip::address_v4::loopback(), 0}) {
    accept();
    thread_ = kino::native_thread([this](std::stop_token) { context_.run(); });
  }

  [[nodiscard]] int port() const { return port_; }

  // Answers accepted requests, then ends the thread. May be interrupted, and called again.
  void stop(kino::gvl const& held) {
    asio::post(context_, [this] {
      std::error_code closed_already;
      acceptor_.close(closed_already);
      for (auto const& known : connections_) {
        if (auto const open = known.lock()) open->stop_reading();
      }
    });
    requests->close();
    if (thread_.joinable()) kino::join(held, thread_);
  }

private:
  void accept() {
    acceptor_.async_accept([this](std::error_code error, tcp::socket socket) {
      if (!acceptor_.is_open()) return;
      if (!error) {
        std::erase_if(connections_, [](auto const& known) { return known.expired(); });
        auto const fresh = std::make_shared<connection>(std::move(socket));
        connections_.push_back(fresh);
        fresh->read();
      }
      accept();
    });
  }

  asio::io_context context_{1};
  tcp::acceptor acceptor_;
  int const port_ = acceptor_.local_endpoint().port();
  std::vector<std::weak_ptr<connection>> connections_;
  kino::native_thread thread_;  // runs out of work after `stop`
};
server* listening;  // never destroyed: a process may end without stopping it

// AsioEcho.start: starts the Asio thread; returns the port.
VALUE start(kino::gvl const&, VALUE) {
  if (listening) throw kino::raise(rb_eRuntimeError, "AsioEcho is already listening");
  listening = new server;
  return INT2FIX(listening->port());
}

// AsioEcho.serve { |line| answer }: answers in this Ractor until AsioEcho.stop.
VALUE serve(kino::gvl const& held, VALUE) {
  auto handle = [&](request& asked) {
    VALUE const line = kino::to_ruby(held, asked.line);
    VALUE const answer = kino::protect(held, [&] { return rb_obj_as_string(rb_yield(line)); });
    asked.reply.answer(kino::from_ruby<std::string>(held, answer));
  };
  requests->serve(held, handle, [] { workers.serving(); });
  return Qnil;
}

// AsioEcho.stop: stops listening, answers pending requests, and lets the workers leave.
VALUE stop(kino::gvl const& held, VALUE) {
  if (listening) listening->stop(held);
  return Qnil;
}

}  // namespace

KINO_EXTENSION(asio_echo_native) {
  requests = new kino::dispatcher<request>(held);
  VALUE const echo = rb_define_module("AsioEcho");
  kino::define_function<start>(echo, "start");
  kino::define_function<serve>(echo, "serve");
  kino::define_function<stop>(echo, "stop");
  kino::define_ractor_starter<workers>(held, echo, "start_workers");
}
