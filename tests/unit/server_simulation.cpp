// SPDX-License-Identifier: MIT
//
// Whole connections without sockets or threads: one thread plays clients, the I/O thread and workers, in an order that
// a seed chooses, over transports that do as little as they may. Some answers are files, which the I/O thread sends. Some
// connections end in a tunnel, which carries bytes both ways, and some are taken over by the application of their last request.
//
// A run of one seed: SEED=4711 unit_server_simulation. More of them: SEEDS=100000 unit_server_simulation.

#include "base/file_range.hpp"
#include "base/temporary_files.hpp"
#include "net/io_thread.hpp"
#include "net/takeover.hpp"

#include "../support/application_socket.hpp"
#include "../support/client_wire.hpp"
#include "../support/conversation.hpp"
#include "../support/http_server_test.hpp"
#include "../support/memory_transport.hpp"
#include "../support/simulation.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using namespace simulation_test;
using memory_test::memory_link;
using server::exchange;

namespace {

class simulation final : server::request_handler {
public:
  explicit simulation(std::uint32_t seed) : chance_(seed), http_(chosen_settings(), *this), worker_count_(1 + chance_.below(3)) {
    step_ = one_of({1u, 5u, 300u, 5'000u, 100'000u});
    memory_test::faults faults{one_of({0u, 2u, 5u}), one_of({0u, 3u, 10u}), one_of({0u, 0u, 5u, 20u}), one_of({0u, 0u, 0u, 200u}), one_of({0u, 0u, 3u})};
#ifdef KINO_TLS_LIBRARY
    if (seed % 10 == 0) encrypted_ = seed % 20 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
#endif
    if (encrypted_ != 0) faults.ahead = 0;  // A socket does not read ahead; TLS does.
    for (std::size_t i = 0, count = 1 + chance_.below(3); i != count; ++i) clients_.push_back(make_client(i, faults));
    workers_.resize(worker_count_);
    drains_ = chance_.once_in(8);
    for (auto& each : weights_) each = 1 + chance_.below(8);
  }
  ~simulation() {
    files_.close(file_);
    for (auto& each : workers_) each.reset();
    queue_.clear();
    http_.close_connections();
    run_all(http_.first_thread());
  }

  outcome run() {
    std::string wrong = find_wrong();
    return {std::move(wrong), steps_};
  }

private:
  // Returns what went wrong; empty if nothing did.
  std::string find_wrong() {
    run_until_quiet();
    if (drained_) {
      http_.first_thread().deadlines().run(server::clock::now() + server::tuning::drain_grace);
      run_until_quiet();
    }
    for (std::size_t i = 0; i != clients_.size() && wrong_.empty(); ++i) check(clients_[i], i);
    if (!queue_.empty()) fail("a request waits for a worker");
    for (auto const& each : workers_) {
      if (!each) continue;
      fail(each->application                     ? "an application waits for its client"
           : each->asleep == sleeping::for_body ? "a worker waits for a body"
                                                : "a worker waits for room");
    }
    if (!wrong_.empty()) return wrong_;
    for (client_end& each : clients_) {
      if (!std::exchange(each.left, true)) each.carrier->link().end();
    }
    run_until_quiet();
    if (http_.connections() != 0) fail(std::to_string(http_.connections()) + " connections are left");
    if (http_.live() != 0) fail("a closed connection counts as live");
    return wrong_;
  }

  enum class departure { stays, half_closes, resets };

  struct client_end {
    std::unique_ptr<client_wire> carrier;
    std::vector<conversation> requests;
    std::string wire;
    std::size_t sent = 0;
    std::size_t leaves_at = 0;
    departure how = departure::stays;
    bool left = false;
    std::size_t sent_before = 0;  // it left
    std::string got;
  };

  // A request in the hands of a worker.
  struct job {
    exchange::reply reply;
    client_end* from;
    conversation const* about;
    std::string body;
    bool body_read = false;
    std::optional<server::response_writer> writer;
    std::size_t written = 0;
    sleeping asleep = sleeping::no;
    std::unique_ptr<taking_over> application;
  };

  template <class T, std::size_t count>
  T one_of(T const (&values)[count]) {
    return values[chance_.below(count)];
  }

  server::options chosen_settings() {
    server::options chosen = patient_settings();
    if (chance_.once_in(2)) chosen.stream_body = {"/"};
    chosen.connection.max_keep_alive = chance_.once_in(4) ? 1 + chance_.below(6) : 1000;
    return chosen;
  }

  // So little room that a seed with long bodies takes many steps, but not minutes.
  std::size_t some_room(std::size_t length) { return std::max<std::size_t>(one_of({1u, 100u, 10'000u, 1'000'000u}), length / 300); }

  client_end make_client(std::size_t number, memory_test::faults const& faults) {
    client_end made;
    std::size_t const most = one_of({1u, 5u, 20u, 40u});
    std::size_t answers = 0;
    for (std::size_t i = 0, count = 1 + chance_.below(static_cast<std::uint32_t>(most)); i != count; ++i) {
      made.requests.push_back(make_request(chance_, made.wire, number, i, http_.settings().connection.max_keep_alive));
      made.requests.back().end = made.wire.size();
      answers += made.requests.back().wanted_body.size();
    }
    std::size_t const number_of_last = made.requests.size();
    bool const tunnels = chance_.once_in(4) && !made.requests.back().last && number_of_last + 1 < http_.settings().connection.max_keep_alive;
    if (tunnels) {
      made.requests.push_back(make_tunnel(chance_, made.wire, number, number_of_last));
      answers += made.requests.back().wanted_body.size();
    }
    auto link = std::make_shared<memory_link>(context(), chance_, faults, some_room(made.wire.size()), some_room(answers));
    auto events = link->make_readiness();
    made.carrier = make_wire(std::move(link));
    made.leaves_at = made.wire.size();
    if (tunnels) made.how = departure::half_closes;  // Otherwise it does not end.
    if (chance_.once_in(4)) {
      made.how = chance_.once_in(2) ? departure::half_closes : departure::resets;
      if (chance_.once_in(2)) made.leaves_at = chance_.below(static_cast<std::uint32_t>(made.wire.size()));
    }
    REQUIRE(http_.admit());
    http_.connected(made.carrier->make_transport(), {"192.0.2.1", "1"}, here_, std::move(events));
    return made;
  }

  std::unique_ptr<client_wire> make_wire(std::shared_ptr<memory_link> link) {
#ifdef KINO_TLS_LIBRARY
    if (encrypted_ != 0) return std::make_unique<encrypted_wire>(std::move(link), encrypted_);
#endif
    link->send_files();
    return std::make_unique<client_wire>(std::move(link));
  }

  // --- one step of each part; false if there is nothing to do ---

  bool io() { return run_one(http_.first_thread(), chance_); }

  std::size_t some_of(std::size_t left) {
    return std::max<std::size_t>(left / 16, 1 + chance_.below(step_));
  }

  bool move(client_end& one) {
    bool const reads = chance_.once_in(2);
    return reads ? receive(one) || send(one) : send(one) || receive(one);
  }
  bool send(client_end& one) {
    if (one.sent < one.leaves_at) {
      std::size_t const length = std::min(some_of(one.wire.size() - one.sent), one.leaves_at - one.sent);
      auto const [moved, taken] = one.carrier->send(std::string_view(one.wire).substr(one.sent, length));
      one.sent += taken;
      steps_.add(taken);
      return moved;
    }
    if (one.left || one.how == departure::stays) return false;
    leave(one);
    one.how == departure::resets ? one.carrier->link().reset() : one.carrier->link().end();
    return true;
  }
  static void leave(client_end& one) {
    one.left = true;
    one.sent_before = one.sent;
  }
  bool receive(client_end& one) {
    if (one.carrier->link().sees_bytes()) {
      one.got += one.carrier->receive(some_of(4096));
      steps_.add(one.got.size());
      return true;
    }
    if (one.left || !one.carrier->link().sees_end()) return false;
    leave(one);  // A client leaves once the server has.
    one.carrier->link().end();
    return true;
  }

  bool work(std::optional<job>& mine) {
    if (!mine) {
      if (queue_.empty()) return false;
      mine = std::move(queue_.front());
      queue_.pop_front();
      return true;
    }
    if (mine->asleep != sleeping::no) return is_awake(exchange::of(mine->reply), mine->asleep);
    if (mine->application) {
      bool const moved = mine->application->step(chance_, some_of(4096));
      if (mine->application->over()) check_taken_over(*mine), mine.reset();
      return moved;
    }
    if (mine->about->how == manner::taken_over) {
      if (!take_over(*mine)) mine.reset();
    } else if (mine->about->how == manner::tunneled) {
      if (!tunnel_on(*mine)) mine.reset();
    } else if (!mine->body_read && mine->about->how != manner::unread) {
      read(*mine);
    } else if (!answer_on(*mine)) {
      mine.reset();
    }
    return true;
  }

  void read(job& mine) {
    exchange& in_hand = exchange::of(mine.reply);
    std::string part(some_of(in_hand.streamed() ? 4096 : mine.about->sent_body.size()), '\0');
    auto const got = in_hand.read(part.data(), part.size());
    mine.body.append(part, 0, got.length);
    bool const tunneled = mine.about->how == manner::tunneled;
    server::field_section const* const trailers = tunneled ? nullptr : in_hand.received_trailers();
    if (!tunneled && (trailers != nullptr) != (got.what == server::body_pipe::state::complete)) fail("trailers before the end of a body, or none after it");
    if (got.what == server::body_pipe::state::open) {
      if (got.length == 0 && in_hand.body().await()) mine.asleep = sleeping::for_body;
      return;
    }
    if (got.length != 0 && got.left != 0) return;
    mine.body_read = true;
    bool const whole = got.what == server::body_pipe::state::complete;
    if (tunneled) {
      std::size_t const sent = mine.from->sent - mine.about->end;
      if (!mine.about->sent_body.starts_with(mine.body)) fail("other bytes came through a tunnel than were sent");
      if (whole && !drained_ && mine.body.size() != sent) fail("a tunnel has lost bytes of the client");
      return;
    }
    if (whole ? mine.body != mine.about->sent_body : !mine.about->sent_body.starts_with(mine.body)) {
      fail("a body arrived as " + std::to_string(mine.body.size()) + " other bytes than the " +
           std::to_string(mine.about->sent_body.size()) + " sent");
    }
    if (!trailers) return;
    std::string const trailer(trailers->all().empty() ? "" : trailers->value(trailers->all().front()));
    if (trailer != mine.about->sent_trailer || trailers->all().size() > 1) fail("another trailer than the client sent");
  }

  // Returns whether the application has the connection.
  bool take_over(job& mine) {
    try {
      int const socket = server::take_over_connection(mine.reply);
      mine.reply = {};
      std::string const response = "HTTP/1.1 101 Switching Protocols\r\n\r\n" + mine.about->wanted_body;
      mine.application = std::make_unique<taking_over>(socket, response, one_of({habit::reads_and_sends, habit::closes_early, habit::reads_to_the_end}));
    } catch (std::system_error const&) {
      if (!mine.from->left) fail("a connection could not be taken over");
    }
    return mine.application != nullptr;
  }
  void check_taken_over(job const& mine) {
    std::string const& got = mine.application->received();
    if (!mine.about->sent_body.starts_with(got)) fail("an application got other bytes than its client sent");
    bool const whole = mine.application->saw_end() && !drained_ && !mine.from->carrier->link().lost();
    if (whole && mine.about->end + got.size() < mine.from->sent_before) fail("an application has lost bytes of its client");
  }

  // Reads and writes in any order. Returns whether there is more to do.
  bool tunnel_on(job& mine) {
    using result = server::response_writer::result;
    std::string_view const body = mine.about->wanted_body;
    if (!mine.writer) {
      static_cast<void>(exchange::of(mine.reply).response().start_upgrade("echo"));
      mine.writer = server::response_writer(mine.reply);
      return mine.writer->flush() != result::gone;
    }
    bool const wrote_all = mine.written == body.size();
    if (wrote_all && mine.body_read) return static_cast<void>(mine.writer->finish()), false;
    if (!mine.body_read && (wrote_all || chance_.once_in(2))) return read(mine), true;
    return write_on(mine, body);
  }
  bool write_on(job& mine, std::string_view body) {
    using result = server::response_writer::result;
    std::size_t const length = std::min(some_of(body.size()), body.size() - mine.written);
    result const now = mine.writer->write(body.substr(mine.written, length));
    mine.written += length;
    if (now == result::gone) return static_cast<void>(mine.writer->finish()), false;
    if (now == result::above_high_watermark && exchange::of(mine.reply).await_room()) mine.asleep = sleeping::for_room;
    if (chance_.once_in(10)) exchange::of(mine.reply).flush();
    return true;
  }

  // Returns whether there is more to do.
  bool answer_on(job& mine) {
    std::string_view const body = mine.about->wanted_body;
    switch (mine.about->how) {
      case manner::unanswered: return false;
      case manner::whole:
      case manner::unread: return answer(mine.reply, body), false;
      default: break;
    }
    using result = server::response_writer::result;
    if (!mine.writer) {
      std::optional<std::uint64_t> const length =
          mine.about->how == manner::streamed ? std::nullopt : std::optional<std::uint64_t>(body.size());
      mine.writer = begin_answer(mine.reply, length);
      if (chance_.once_in(2)) return mine.writer->flush() != result::gone;
    }
    if (mine.about->how == manner::from_file && exchange::of(mine.reply).sends_files() && mine.written != body.size() &&
        (mine.written != 0 || chance_.once_in(2))) {
      return end_with_file(mine, body.substr(mine.written)), false;
    }
    if (mine.written == body.size()) {
      server::response_trailers& trailers = exchange::of(mine.reply).trailers();
      // The client has not asked for those of every answer.
      static_cast<void>(trailers.add("x-check", mine.about->wanted_trailer.empty() ? "dropped" : mine.about->wanted_trailer));
      return static_cast<void>(mine.writer->finish(&trailers)), false;
    }
    return write_on(mine, body);
  }

  // The rest of the body lies somewhere in a file.
  void end_with_file(job& mine, std::string_view rest) {
    std::string const before = pattern(chance_.below(100), 1);
    for (std::string_view const part : {std::string_view(before), rest, std::string_view("behind it")}) {
      REQUIRE(files_.write(file_, part.data(), part.size(), file_size_) == static_cast<ssize_t>(part.size()));
      file_size_ += part.size();
    }
    auto const at = file_size_ - rest.size() - std::string_view("behind it").size();
    auto range = server::file_range::of(file_, at, rest.size());
    REQUIRE(range);
    static_cast<void>(mine.writer->finish(std::move(*range)));
  }

  void run_until_quiet() {
    std::vector<std::size_t> turns;
    std::size_t const parts = 1 + clients_.size() + workers_.size();
    for (std::size_t part = 0; part != parts; ++part) turns.insert(turns.end(), weights_[part % weights_.size()], part);
    for (;;) {
      if (drains_ && chance_.once_in(500)) http_.begin_drain(), drained_ = true, drains_ = false;
      bool moved = false;
      for (std::size_t tries = 0; tries != 2 * turns.size() && !moved; ++tries) {
        moved = step(turns[chance_.below(static_cast<std::uint32_t>(turns.size()))]);
      }
      for (std::size_t part = 0; part != parts && !moved; ++part) moved = step(part);
      if (!moved || !wrong_.empty()) return;
    }
  }
  bool step(std::size_t part) {
    bool const moved = try_step(part);
    steps_.add(2 * part + moved);
    return moved;
  }
  bool try_step(std::size_t part) {
    if (part == 0) return io();
    if (part <= clients_.size()) return move(clients_[part - 1]);
    return work(workers_[part - 1 - clients_.size()]);
  }

  // --- what has to be true once nothing moves ---

  void check(client_end const& one, std::size_t number) {
    std::ostringstream where;
    where << "client " << number << ": ";
    // Of these every answer has to arrive; of those behind them one may, if the request was complete.
    std::size_t wanted = 0;
    bool cut = one.carrier->link().lost() || drained_;
    bool ends = one.left && one.how == departure::half_closes;
    for (conversation const& each : one.requests) {
      if (each.end > one.sent) break;
      ++wanted;
      ends |= each.last;
      if (each.last) break;
    }
    std::string_view rest = one.got;
    for (std::size_t i = 0; i != wanted; ++i) {
      conversation const& about = one.requests[i];
      if (rest.empty() && cut) break;
      received const got = next_answer(rest, about.head_only, one.carrier->link().sees_end() && !one.carrier->link().lost());
      where << "answer " << i << " of " << wanted << ", " << got.status << ", " << got.body.size() << " bytes instead of "
            << about.wanted_body.size() << ": ";
      if (!got.complete) {
        if (one.carrier->link().lost()) return;
        return fail(where.str() + (one.carrier->link().sees_end() ? "cut short" : "never arrived"));
      }
      if (got.status != about.wanted_status) return fail(where.str() + "another status");
      if ((got.status == 200 || got.status == 101) && got.body != (about.head_only ? "" : about.wanted_body)) return fail(where.str() + "another body");
      if (got.trailer != about.wanted_trailer) return fail(where.str() + "another trailer");
      where.str("client " + std::to_string(number) + ": ");
      where.seekp(0, std::ios::end);
    }
    // A handler may answer a request whose body it does not read.
    bool const partly_sent = wanted != one.requests.size() && one.sent != (wanted == 0 ? 0 : one.requests[wanted - 1].end);
    cut |= partly_sent && !rest.empty();
    if (!rest.empty() && !partly_sent && !one.carrier->link().lost()) fail(where.str() + "bytes behind the last answer, " + std::to_string(wanted) + ": " + std::string(rest.substr(0, 100)));
    if ((ends || drained_) && !one.carrier->link().sees_end()) fail(where.str() + "the connection was not ended");
    if (!ends && !cut && one.carrier->link().sees_end()) fail(where.str() + "the connection was ended");
  }

  void fail(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
  }

  // --- the handler ---

  void handle(exchange::reply&& reply) noexcept override {
    exchange& in_hand = exchange::of(reply);
    std::string const target(in_hand.head().target());
    char* slash = nullptr;
    client_end& from = clients_[std::strtoul(target.c_str() + 1, &slash, 10)];
    conversation const& about = from.requests[std::strtoul(slash + 1, nullptr, 10)];
    queue_.push_back({std::move(reply), &from, &about, {}, false, {}, 0, sleeping::no, nullptr});
  }
  int status_for(kino::ending, exchange&) noexcept override { return 500; }
  void refused(int) noexcept override {}
  void quiet() noexcept override {}

  asio::io_context& context() { return http_.first_thread().context(); }

  stress::dice chance_;
  server::temporary_files const files_;
  int const file_ = files_.open();  // of the bodies of answers
  std::uint64_t file_size_ = 0;
  server::endpoint const here_{"127.0.0.1", "80"};
  server::http_server http_;
  std::size_t const worker_count_;
  std::uint32_t step_ = 1;
  std::vector<client_end> clients_;
  std::deque<job> queue_;
  std::vector<std::optional<job>> workers_;
  std::array<std::size_t, 7> weights_{};
  int encrypted_ = 0;  // the version of TLS
  bool drains_ = false;
  bool drained_ = false;
  std::string wrong_;
  trace steps_;
};

}  // namespace

TEST_CASE("every complete request gets exactly its answer, in order, and nothing is left waiting") {
  run_seeds(stress::scaled(1000), [](std::uint32_t seed) { return simulation(seed).run(); });
}
