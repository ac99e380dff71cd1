// SPDX-License-Identifier: MIT
//
// Whole connections of HTTP/2 in one thread, which plays the client, the I/O thread and workers in an order that a seed
// chooses, over transports that do as little as they may. As server_simulation.cpp does for HTTP/1.
//
// A run of one seed: SEED=4711 unit_server_http2_simulation. More of them: SEEDS=100000.

#include "../support/http2_client.hpp"
#include "../support/http_server_test.hpp"
#include "../support/memory_transport.hpp"
#include "../support/simulation.hpp"
#include "../support/stress.hpp"

#include "http/http_date.hpp"
#include "net/io_thread.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using namespace simulation_test;
using memory_test::memory_link;
using server::exchange;

// Instead of the library's: the same in every run, since the length of a compressed date depends on its digits.
std::string_view server::http_date() noexcept { return "Thu, 01 Jan 2026 00:00:00 GMT"; }

namespace {

enum class manner { whole, streamed, unread, unanswered, cut };

// A request, and what its handler does.
struct plan {
  std::int32_t stream = 0;
  bool head_only = false;
  std::string body;
  http2_test::fields trailers;
  std::size_t sent = 0;
  bool sent_end = false;
  manner how = manner::whole;
  std::string answer;
  bool answer_trailer = false;
  std::size_t resets_at = SIZE_MAX;  // the client, after so many bytes of the answer
  bool reset = false;
};

class simulation final : server::request_handler, server::observer {
public:
  explicit simulation(std::uint32_t seed) : chance_(seed), http_(chosen_settings(), *this) {
    step_ = one_of({1u, 50u, 3'000u, 100'000u});
    memory_test::faults const faults{one_of({0u, 2u, 5u}), one_of({0u, 3u, 10u}), one_of({0u, 0u, 5u, 20u}), one_of({0u, 0u, 0u, 400u}), one_of({0u, 0u, 3u})};
    client_ = std::make_unique<http2_test::client>(one_of({1'000u, 65'535u, 1'000'000u}));
    std::uint32_t const large = one_of({10u, 2'000u, 200'000u});
    for (std::size_t i = 0, count = 1 + chance_.below(30); i != count; ++i) plans_.push_back(make_plan(large));
    link_ = std::make_shared<memory_link>(context(), chance_, faults, one_of({100u, 10'000u, 1'000'000u}), one_of({100u, 10'000u, 1'000'000u}));
    workers_.resize(1 + chance_.below(4));
    drains_ = chance_.once_in(6);
    static_cast<void>(http_.admit());
    http_.connected(link_->make_transport(), {"192.0.2.1", "1"}, here_, link_->make_readiness());
  }
  ~simulation() {
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
    check();
    for (auto& each : workers_) {
      if (each && wrong_.empty()) fail(each->asleep == sleeping::for_body ? "a worker waits for a body" : "a worker waits for room");
    }
    if (!queue_.empty()) fail("a request waits for a worker");
    if (!wrong_.empty()) return wrong_;
    link_->end();
    left_ = true;
    run_until_quiet();
    if (http_.connections() != 0) fail("a connection is left");
    if (http_.live() != 0) fail("a closed connection counts as live");
    if (reports_ < calls_) fail("the observer was told of " + std::to_string(reports_) + " of " + std::to_string(calls_) + " requests");
    return wrong_;
  }

  struct job {
    exchange::reply reply;
    plan* about;
    std::string body;
    bool body_read = false;
    std::optional<server::response_writer> writer;
    std::size_t written = 0;
    sleeping asleep = sleeping::no;
  };

  template <class T, std::size_t count>
  T one_of(T const (&values)[count]) {
    return values[chance_.below(count)];
  }
  std::string some_bytes(std::uint32_t most) {
    std::string made(chance_.below(most), '\0');
    for (char& each : made) each = static_cast<char>('a' + chance_.below(26));
    return made;
  }

  server::options chosen_settings() {
    server::options chosen = patient_settings();
    if (chance_.once_in(2)) chosen.stream_body = {"/"};
    chosen.connection.max_concurrent_streams = one_of({2u, 10u, 100u});
    chosen.observes = std::shared_ptr<server::observer>(std::shared_ptr<void>(), this);
    return chosen;
  }

  plan make_plan(std::uint32_t large) {
    plan made;
    made.head_only = chance_.once_in(8);
    if (!made.head_only && chance_.once_in(2)) made.body = some_bytes(large) + "!";
    if (!made.body.empty() && chance_.once_in(4)) made.trailers = {{"x-check", "sum"}};
    made.how = one_of({manner::whole, manner::whole, manner::streamed, manner::streamed, manner::unread, manner::unanswered, manner::cut});
    made.answer = some_bytes(large);
    made.answer_trailer = made.how == manner::streamed && chance_.once_in(2);
    if (chance_.once_in(6)) made.resets_at = chance_.once_in(2) ? 0 : chance_.below(large);
    return made;
  }

  // --- one step of each part; false if there is nothing to do ---

  bool io() { return run_one(http_.first_thread(), chance_); }

  std::size_t some_of(std::size_t left) { return std::min(left, std::max<std::size_t>(left / 16, 1 + chance_.below(step_))); }

  bool ask() {
    if (begun_ == plans_.size() || left_) return false;
    plan& next = plans_[begun_];
    std::string const path = "/" + std::to_string(begun_);
    http2_test::fields more;
    if (chance_.once_in(2)) more.emplace_back("x-some", some_bytes(200));
    if (!next.body.empty() && next.trailers.empty() && chance_.once_in(2)) more.emplace_back("content-length", std::to_string(next.body.size()));
    next.stream = client_->request(next.head_only ? "HEAD" : next.body.empty() ? "GET" : "POST", path, more, !next.body.empty());
    next.sent_end = next.body.empty();
    ++begun_;
    return true;
  }
  // Tries all of `count`, from a random one on, until one has something to do.
  template <class Try>
  bool any_of(std::size_t count, Try attempt) {
    if (count == 0) return false;
    std::size_t const first = chance_.below(static_cast<std::uint32_t>(count));
    for (std::size_t i = 0; i != count; ++i) {
      if (attempt((first + i) % count)) return true;
    }
    return false;
  }
  bool feed(plan& one) {
    if (client_->at(one.stream).closed) return false;
    if (client_->at(one.stream).body.size() >= one.resets_at && !std::exchange(one.reset, true)) {
      client_->reset(one.stream);
      ++resets_;
      return true;
    }
    if (one.sent_end) return false;
    std::size_t const length = some_of(one.body.size() - one.sent);
    client_->send_body(one.stream, std::string_view(one.body).substr(one.sent, length));
    one.sent += length;
    if (one.sent == one.body.size()) {
      client_->end_body(one.stream, one.trailers);
      one.sent_end = true;
    }
    return true;
  }
  bool send() {
    if (unsent_.empty()) unsent_ = client_->output();
    if (unsent_.empty()) return false;
    std::size_t const taken = link_->send(std::string_view(unsent_).substr(0, some_of(unsent_.size())));
    unsent_.erase(0, taken);
    steps_.add(taken);
    return taken != 0;
  }
  bool receive() {
    if (link_->sees_bytes()) {
      std::string const got = link_->receive(some_of(20'000));
      steps_.add(got.size());
      if (!client_->input(got)) fail("the server sent what is not HTTP/2");
      return true;
    }
    if (left_ || !link_->sees_end()) return false;
    left_ = true;  // A client leaves once the server has.
    link_->end();
    return true;
  }

  bool work(std::optional<job>& mine) {
    if (!mine) {
      if (queue_.empty()) return false;
      std::size_t const which = chance_.below(static_cast<std::uint32_t>(queue_.size()));
      mine = std::move(queue_[which]);
      queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(which));
      return true;
    }
    if (mine->asleep != sleeping::no) return is_awake(exchange::of(mine->reply), mine->asleep);
    if (!mine->body_read && mine->about->how != manner::unread) {
      read(*mine);
    } else if (!answer_on(*mine)) {
      mine.reset();
    }
    return true;
  }

  void read(job& mine) {
    exchange& in_hand = exchange::of(mine.reply);
    std::string part(1 + some_of(20'000), '\0');
    auto const got = in_hand.read(part.data(), part.size());
    mine.body.append(part, 0, got.length);
    if (got.what == server::body_pipe::state::open) {
      if (got.length == 0 && in_hand.body().await()) mine.asleep = sleeping::for_body;
      return;
    }
    if (got.length != 0 && got.left != 0) return;
    mine.body_read = true;
    bool const whole = got.what == server::body_pipe::state::complete;
    if (whole ? mine.body != mine.about->body : !mine.about->body.starts_with(mine.body)) fail("another body arrived than the one sent");
    auto const* const trailers = in_hand.received_trailers();
    if (whole != (trailers != nullptr)) return fail("trailers before the end of a body, or none after it");
    if (whole && trailers->all().size() != mine.about->trailers.size()) fail("other trailers than the client sent");
  }

  // Returns whether there is more to do.
  bool answer_on(job& mine) {
    std::string_view const body = mine.about->answer;
    if (mine.about->how == manner::unanswered) return false;
    if (mine.about->how == manner::whole || mine.about->how == manner::unread) return answer(mine.reply, body, chance_.once_in(2)), false;
    using result = server::response_writer::result;
    if (!mine.writer) {
      mine.writer = begin_answer(mine.reply, chance_.once_in(2) ? std::nullopt : std::optional<std::uint64_t>(body.size()));
      if (chance_.once_in(2)) return mine.writer->flush() != result::gone;
    }
    if (mine.about->how == manner::cut && (mine.written == body.size() || chance_.once_in(4))) return mine.writer->abort(), false;
    if (mine.written == body.size()) {
      server::response_trailers& trailers = exchange::of(mine.reply).trailers();
      if (mine.about->answer_trailer) static_cast<void>(trailers.add("x-answer", "whole"));
      return static_cast<void>(mine.writer->finish(&trailers)), false;
    }
    std::size_t const length = some_of(body.size() - mine.written);
    result const now = mine.writer->write(body.substr(mine.written, length));
    mine.written += length;
    if (now == result::gone) return static_cast<void>(mine.writer->finish()), false;
    if (now == result::above_high_watermark && exchange::of(mine.reply).await_room()) mine.asleep = sleeping::for_room;
    return true;
  }

  void run_until_quiet() {
    for (int idle = 0; idle < 300 && wrong_.empty();) {
      if (drains_ && chance_.once_in(500)) http_.begin_drain(), drained_ = true, drains_ = false;
      bool moved = false;
      std::uint32_t const part = chance_.below(7);
      switch (part) {
        case 0: moved = ask(); break;
        case 1: moved = any_of(begun_, [this](std::size_t i) { return feed(plans_[i]); }); break;
        case 2: moved = send(); break;
        case 3: moved = receive(); break;
        case 4: moved = any_of(workers_.size(), [this](std::size_t i) { return work(workers_[i]); }); break;
        default: moved = io(); break;
      }
      steps_.add(2 * part + moved);
      idle = moved ? 0 : idle + 1;
    }
  }

  // --- what has to be true once nothing moves ---

  void check() {
    bool const cut_off = link_->lost() || drained_;
    if (!drained_ && !link_->lost() && link_->sees_end()) fail("the connection was ended");
    for (std::size_t i = 0; i != begun_ && wrong_.empty(); ++i) check(plans_[i], i, cut_off);
  }
  void check(plan const& about, std::size_t number, bool cut_off) {
    http2_test::stream const& got = client_->at(about.stream);
    std::string const where = "request " + std::to_string(number) + ", status " + std::to_string(got.status) + ", " +
                              std::to_string(got.body.size()) + " bytes: ";
    bool const bodiless = about.head_only;
    std::string const wanted = bodiless ? "" : about.answer;
    if (about.how == manner::cut && got.status == 500) return;  // before it had begun
    if (about.how != manner::unanswered && !wanted.starts_with(got.body)) return fail(where + "another answer");
    if (about.reset) return;
    if (!got.closed) {
      if (!cut_off) fail(where + "the stream is not closed");
      return;
    }
    if (cut_off && got.error != 0) return;
    // A client may begin too many before it knows the limit; those that were reset count as long as a worker has them.
    bool const may_be_refused = resets_ != 0 || http_.settings().connection.max_concurrent_streams < 100;
    if (may_be_refused && got.error == NGHTTP2_REFUSED_STREAM && got.status == 0) return;
    if (about.how == manner::cut) return got.ended && !bodiless ? fail(where + "a response that was cut looks complete") : void();
    if (got.error != 0) return fail(where + "error " + std::to_string(got.error));
    if (about.how == manner::unanswered) return got.status != 500 ? fail(where + "an unanswered request") : void();
    if (got.status != 200 || got.body != wanted) return fail(where + "an incomplete answer of " + std::to_string(wanted.size()) + " bytes");
    if (got.trailers.size() != (about.answer_trailer ? 1u : 0u)) return fail(where + "other trailers");
  }

  void fail(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
  }

  // --- the handler and the observer ---

  void handle(exchange::reply&& reply) noexcept override {
    ++calls_;
    if (exchange::of(reply).client_gone()) fail("a request was handed over that its client had reset");
    std::string const target(exchange::of(reply).head().target());
    plan& about = plans_[std::strtoul(target.c_str() + 1, nullptr, 10)];
    queue_.push_back({std::move(reply), &about, {}, false, {}, 0, sleeping::no});
  }
  int status_for(kino::ending, exchange&) noexcept override { return 500; }
  void ended(server::exchange_report const&) noexcept override { ++reports_; }

  asio::io_context& context() { return http_.first_thread().context(); }

  stress::dice chance_;
  server::endpoint const here_{"127.0.0.1", "80"};
  server::http_server http_;
  std::unique_ptr<http2_test::client> client_;
  std::shared_ptr<memory_link> link_;
  std::uint32_t step_ = 1;
  std::vector<plan> plans_;
  std::size_t begun_ = 0;
  std::string unsent_;
  bool left_ = false;
  std::deque<job> queue_;
  std::vector<std::optional<job>> workers_;
  bool drains_ = false;
  bool drained_ = false;
  std::size_t resets_ = 0;
  std::size_t calls_ = 0;
  std::size_t reports_ = 0;
  std::string wrong_;
  trace steps_;
};

}  // namespace

TEST_CASE("every request of HTTP/2 gets its response, and nothing is left waiting") {
  run_seeds(stress::scaled(150), [](std::uint32_t seed) { return simulation(seed).run(); });
}
