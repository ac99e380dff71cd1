// SPDX-License-Identifier: MIT
//
// The writing half of a connection in isolation, on a pair of sockets: one thread plays the I/O thread and
// the workers, in any order.

#include "http1/response_pipeline.hpp"

#include "base/file_range.hpp"
#include "net/plain_transport.hpp"

#include "../support/broken_disk.hpp"
#include "../support/null_sink.hpp"
#include "../support/numbered.hpp"
#include "../support/private_access.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace server = kino::server;
using server::delivery;
using server::exchange;
using server::response_pipeline;

KINO_TEST_REACH(ready_at_of, server::exchange, ready_at_)

namespace {

constexpr std::size_t depth = server::tuning::pipeline_depth;

// The response_pipeline of one connection, its requests, and the client at the other end.
class line final : private response_pipeline::owner {
public:
  // With a disk, responses that are written bit by bit go on into its file, up to `most_stored` bytes.
  explicit line(std::size_t requests, std::shared_ptr<broken_disk> disk = nullptr, std::uint64_t most_stored = 0)
      : pool_(server::exchange_pool::make(std::move(disk))), out(*this, socket_, {pool_->spool(), most_stored}) {
    for (std::size_t i = 0; i < requests; ++i) {
      replies.emplace_back(pool_->acquire(null_sink_test::nowhere()));
      exchange::of(replies.back()).begin_state<server::http1_state>();
    }
  }
  ~line() {
    out.close();
    if (client >= 0) ::close(client);
  }

  exchange& at(std::size_t i) { return *places.at(i); }
  std::size_t attach(std::size_t i) {
    if (places.size() <= i) places.resize(i + 1);
    places[i] = &exchange::of(replies.at(i));
    return out.attach(at(i));
  }
  void attach_all() {
    for (std::size_t i = 0; i < replies.size(); ++i) REQUIRE(attach(i) == i + 1);
  }
  // Gives the response_pipeline the request itself.
  void serve(std::size_t i) { out.serve(std::move(replies.at(i))); }
  delivery deliver(std::size_t i, std::string_view bytes, bool last = true, bool keep = true, bool gather = false) {
    iovec one = server::piece(bytes);
    return out.deliver(at(i), {{&one, 1}, last, keep, gather});
  }
  // What the client can read now.
  std::string arrived() {
    std::string all;
    char bytes[65536];
    for (ssize_t length; (length = ::recv(client, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;) {
      all.append(bytes, static_cast<std::size_t>(length));
    }
    return all;
  }
  bool client_sees_end() {
    char byte;
    return ::recv(client, &byte, 1, MSG_DONTWAIT) == 0;
  }
  // What the client gets if it reads on until nothing waits.
  std::string all_arrived() {
    std::string all = arrived();
    while (out.now().stalled) {
      static_cast<void>(out.take_pending());
      out.writable();
      all += arrived();
    }
    return all;
  }
  [[nodiscard]] bool told(std::size_t i) {
    return at(i).departures().park(server::clock::now()) == kino::park_result::notified;
  }
  // How many parts of the file are lent to responses.
  [[nodiscard]] std::size_t lent() { return pool_->spool().lent(); }
  // Which requests were handed over since the last call.
  std::vector<exchange*> take_handled() { return std::exchange(handled_, {}); }

  int wakes = 0;
  int flushes_asked = 0;
  int client = -1;

private:
  static int first_of(std::array<int, 2> const& both, int& other) {
    other = both[1];
    return both[0];
  }
  static std::array<int, 2> sockets() {
    std::array<int, 2> both{};
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, both.data()) != 0) std::abort();
    for (int const one : both) ::fcntl(one, F_SETFL, O_NONBLOCK);  // as those of connections
    return both;
  }

  void wake() noexcept override { ++wakes; }
  void flush_later() noexcept override { ++flushes_asked; }
  void handle(exchange::reply&& request) noexcept override {
    exchange& one = exchange::of(request);
    handled_.push_back(&one);
    // Without a connection there is no end to report: as if it had never been handed over.
    ready_at_of(one) = {};
    in_hand_.push_back(std::move(request));
  }

  server::exchange_pool::owner const pool_;
  std::vector<exchange*> handled_;
  std::vector<exchange::reply> in_hand_;

  server::plain_transport socket_{first_of(sockets(), client)};

public:
  std::vector<exchange::reply> replies;
  std::vector<exchange*> places;
  response_pipeline out;
};

std::string const large(4 << 20, 'l');

}  // namespace

TEST_CASE("answers leave in the order of their requests, whichever comes first") {
  line here(4);
  here.attach_all();
  CHECK(here.deliver(2, "2") == delivery::taken);
  CHECK(here.deliver(1, "1a", false) == delivery::taken);
  CHECK(here.arrived().empty());
  CHECK(here.deliver(0, "0") == delivery::taken);
  CHECK(here.arrived() == "01a");
  CHECK(here.deliver(3, "3") == delivery::taken);
  CHECK(here.deliver(1, "1b", true) == delivery::taken);
  CHECK(here.arrived() == "1b23");
  CHECK(here.out.now().waiting == 0);
  CHECK(here.deliver(3, "once more") == delivery::gone);
  CHECK(here.arrived().empty());
}

TEST_CASE("in any order, with any pieces, each answer arrives whole and in its turn") {
  for (std::uint32_t seed = 1; seed <= stress::scaled(200); ++seed) {
    CAPTURE(seed);
    stress::dice chance(seed);
    line here(depth);
    here.attach_all();
    std::string wanted, got;
    std::vector<std::string> rest(depth);
    for (std::size_t i = 0; i < depth; ++i) {
      std::string const each(1 + chance.below(chance.once_in(4) ? 300'000 : 300), static_cast<char>('a' + i));
      wanted += rest[i] = each;
    }
    for (std::size_t left = depth; left != 0;) {
      std::size_t const i = chance.below(depth);
      if (rest[i].empty()) continue;
      std::size_t const length = chance.once_in(3) ? rest[i].size() : 1 + chance.below(static_cast<std::uint32_t>(rest[i].size()));
      bool const last = length == rest[i].size();
      CHECK(here.deliver(i, rest[i].substr(0, length), last, true, chance.once_in(2)) != delivery::gone);
      rest[i].erase(0, length);
      left -= last;
      if (chance.once_in(5)) here.out.flush_late();
      if (chance.once_in(3)) got += here.arrived();
      if (here.out.take_pending() & response_pipeline::wait_writable) {
        got += here.arrived();
        here.out.writable();
      }
    }
    here.out.flush();
    for (bool more = true; more; more = (here.out.take_pending() & response_pipeline::wait_writable) != 0) {
      got += here.arrived();
      here.out.writable();
    }
    got += here.arrived();
    CHECK(got == wanted);
    CHECK(here.out.now().waiting == 0);
    CHECK(here.out.now().unsent == 0);
  }
}

TEST_CASE("requests are handed over one at a time, when the answer before is complete") {
  line here(3);
  here.attach_all();
  here.serve(0);
  CHECK(here.take_handled() == std::vector{&here.at(0)});
  here.serve(1);
  here.serve(2);
  CHECK(here.take_handled().empty());
  static_cast<void>(here.deliver(0, "begun", false));
  CHECK(here.take_handled().empty());
  static_cast<void>(here.deliver(0, "done"));
  CHECK(here.take_handled() == std::vector{&here.at(1)});
  static_cast<void>(here.deliver(1, "done"));
  CHECK(here.take_handled() == std::vector{&here.at(2)});
}

TEST_CASE("a request that was not handed over can be taken back, one that was cannot") {
  line here(2);
  here.attach_all();
  here.serve(0);
  here.serve(1);
  CHECK(!here.out.recall(here.at(0)));
  CHECK(static_cast<bool>(here.out.recall(here.at(1))));
  static_cast<void>(here.deliver(0, "done"));
  CHECK(here.take_handled() == std::vector{&here.at(0)});
}

TEST_CASE("a request waits while answers that the client does not read fill the buffer") {
  line here(2);
  here.attach_all();
  here.serve(0);
  here.serve(1);
  static_cast<void>(here.take_handled());
  CHECK(here.deliver(0, large) != delivery::gone);
  CHECK(here.take_handled().empty());
  std::string got;
  while (got.size() < large.size()) {
    got += here.arrived();
    if (here.out.take_pending() & response_pipeline::wait_writable) here.out.writable();
  }
  CHECK(got == large);
  CHECK(here.take_handled() == std::vector{&here.at(1)});
}

TEST_CASE("the line takes so many requests, each once, and says when it is half empty or empty") {
  line here(depth + 1);
  for (std::size_t i = 0; i < depth; ++i) {
    CHECK(here.attach(i) == i + 1);
    CHECK(here.attach(i) == i + 1);
  }
  CHECK(here.attach(depth) == 0);
  CHECK(here.out.full());
  for (std::size_t i = 0; i < depth; ++i) {
    static_cast<void>(here.deliver(i, "."));
    CHECK(((here.out.take_pending() & response_pipeline::read_on) != 0) == (i + 1 == depth / 2));
  }
  CHECK(!here.out.full());
  CHECK(!here.out.busy());
  CHECK(here.attach(depth) == 1);
  CHECK(here.out.busy());
  static_cast<void>(here.deliver(depth, "."));
  CHECK(here.out.take_pending() == response_pipeline::read_on);
}

TEST_CASE("the I/O thread is woken once for all pending, until it takes them") {
  line here(1);
  here.attach_all();
  CHECK(here.deliver(0, large, false) == delivery::above_high_watermark);
  CHECK(here.wakes == 1);
  here.out.resume_reading();
  static_cast<void>(here.deliver(0, large, false));
  CHECK(here.wakes == 1);
  CHECK(here.out.take_pending() == (response_pipeline::wait_writable | response_pipeline::read_on));
  CHECK(here.out.take_pending() == response_pipeline::nothing);
  here.out.resume_reading();
  CHECK(here.wakes == 2);
}

TEST_CASE("a writer that waits for room is told of room, and of the end") {
  line here(1);
  here.attach_all();
  CHECK(!here.out.await_room(here.at(0)));
  CHECK(here.deliver(0, large, false) == delivery::above_high_watermark);
  CHECK(here.out.await_room(here.at(0)));
  auto const told = [&] {
    return here.at(0).departures().park(server::clock::now()) == kino::park_result::notified;
  };
  CHECK(!told());
  for (std::size_t got = 0; got < large.size();) {
    got += here.arrived().size();
    if (here.out.take_pending() & response_pipeline::wait_writable) here.out.writable();
  }
  CHECK(told());
  CHECK(!here.out.await_room(here.at(0)));
  CHECK(here.deliver(0, large, false) == delivery::above_high_watermark);
  CHECK(here.out.await_room(here.at(0)));
  exchange::reply const kept = here.replies[0];
  here.out.close();
  CHECK(told());
  CHECK(!here.out.await_room(here.at(0)));
  CHECK(here.deliver(0, "more", false) == delivery::gone);
}

TEST_CASE("small pieces gather until a flush, until there are many, or until the answer ends") {
  line here(2);
  here.attach_all();
  CHECK(here.deliver(0, "a", false, true, true) == delivery::taken);
  CHECK(here.deliver(0, "b", false, true, true) == delivery::taken);
  CHECK(here.arrived().empty());
  CHECK(here.flushes_asked == 1);
  here.out.flush_late();
  CHECK(here.arrived() == "ab");
  CHECK(here.deliver(0, "c", false, true, true) == delivery::taken);
  CHECK(here.flushes_asked == 2);
  here.out.flush();
  CHECK(here.arrived() == "c");
  std::string const many(server::tuning::gather_size, 'm');
  CHECK(here.deliver(0, many, false, true, true) == delivery::taken);
  CHECK(here.arrived() == many);
  CHECK(here.deliver(0, "d", false, true, true) == delivery::taken);
  CHECK(here.deliver(0, "e") == delivery::taken);
  CHECK(here.arrived() == "de");
  CHECK(here.wakes == 0);
}

TEST_CASE("an answer that closes ends the stream, and those behind it are dropped") {
  line here(3);
  here.attach_all();
  here.serve(0);
  here.serve(1);
  static_cast<void>(here.deliver(2, "never"));
  static_cast<void>(here.deliver(0, "last", true, false));
  CHECK(here.arrived() == "last");
  CHECK(here.client_sees_end());
  CHECK(here.out.take_pending() == response_pipeline::linger);
  CHECK(here.out.now().closing);
  CHECK(here.take_handled() == std::vector{&here.at(0)});
  CHECK(here.out.attach(here.at(2)) == 0);
  CHECK(here.deliver(2, "never") == delivery::gone);
}

TEST_CASE("close_after_last answers what is in line, and then ends") {
  line here(3);
  CHECK(here.attach(0) == 1);
  CHECK(here.attach(1) == 2);
  CHECK(!here.out.end_after(here.at(0)));
  here.out.close_after_last();
  CHECK(here.attach(2) == 0);
  static_cast<void>(here.deliver(0, "0"));
  CHECK(here.arrived() == "0");
  CHECK(!here.client_sees_end());
  static_cast<void>(here.deliver(1, "1"));
  CHECK(here.arrived() == "1");
  CHECK(here.client_sees_end());
  CHECK(here.out.take_pending() == response_pipeline::linger);
}

TEST_CASE("close_after_last ends an empty pipeline at once, and end_after makes its request the last") {
  {
    line here(1);
    here.out.close_after_last();
    CHECK(here.client_sees_end());
    CHECK(here.attach(0) == 0);
  }
  line here(3);
  CHECK(here.attach(0) == 1);
  CHECK(here.attach(1) == 2);
  CHECK(here.out.end_after(here.at(1)));
  CHECK(here.attach(2) == 0);
}

TEST_CASE("a client that has left: nothing goes out, and the socket is not written to again") {
  line here(2);
  here.attach_all();
  ::close(std::exchange(here.client, -1));
  CHECK(here.deliver(0, "a", false) == delivery::gone);
  CHECK(here.out.take_pending() == response_pipeline::hang_up);
  CHECK(here.deliver(0, "b", false) == delivery::gone);
  CHECK(here.deliver(1, "c") == delivery::gone);
  CHECK(here.wakes == 1);
}

TEST_CASE("cut asks for the end once; close gives the descriptor back once") {
  line here(1);
  here.attach_all();
  here.out.cut(here.at(0));
  here.out.cut(here.at(0));
  CHECK(here.wakes == 1);
  CHECK(here.out.take_pending() == response_pipeline::hang_up);
  CHECK(here.deliver(0, "a") == delivery::gone);
  here.out.close();
  int const next = ::dup(here.client);  // as a new connection might get the number
  here.out.close();
  CHECK(::fcntl(next, F_GETFD) != -1);
  ::close(next);
  CHECK(here.out.gave_up(server::clock::now()));
  here.out.cut(here.at(0));
  here.out.resume_reading();
  CHECK(here.out.take_pending() == response_pipeline::nothing);
}

TEST_CASE("a client that ended its side along with its request still wants the answer") {
  line here(1);
  here.attach_all();
  auto const ready = server::clock::now();
  CHECK(!here.out.gave_up(ready));
  here.out.peer_ended();
  CHECK(!here.out.gave_up(server::clock::now()));
  CHECK(here.out.gave_up(ready - 2 * server::tuning::half_close_grace));
  CHECK(here.deliver(0, "answer") == delivery::taken);
  CHECK(here.arrived() == "answer");
}

TEST_CASE("workers deliver while the I/O thread closes: all or a part arrives, in order, and nothing after") {
  for (std::uint32_t seed = 1; seed <= stress::scaled(200); ++seed) {
    CAPTURE(seed);
    line here(4);
    here.attach_all();
    std::vector<exchange::reply> const kept = here.replies;
    std::vector<std::thread> workers;
    for (std::size_t i = 0; i < 4; ++i) {
      workers.emplace_back([&here, i] {
        std::string const bytes(10, static_cast<char>('a' + i));
        for (int piece = 0; piece < 10; ++piece) static_cast<void>(here.deliver(i, bytes, piece == 9, true, piece % 2 == 0));
      });
    }
    stress::dice chance(seed);
    for (auto spins = chance.below(2000); spins != 0; --spins) static_cast<void>(here.out.now());
    here.out.close();
    for (std::thread& each : workers) each.join();
    std::string const got = here.arrived();
    std::string whole;
    for (char each : std::string("abcd")) whole += std::string(100, each);
    CHECK(whole.starts_with(got));
    CHECK(here.client_sees_end());
  }
}

// --- responses that go on into a file -----------------------------------------------

namespace {

constexpr std::uint64_t most_stored = 8 << 20;

// Writes pieces of this size, from the byte `first` on, until the writer should wait, or `most` bytes.
std::size_t write_until_full(line& here, std::size_t piece, std::size_t most, std::size_t first = 0) {
  std::size_t written = 0;
  while (written < most) {
    delivery const what = here.deliver(0, numbered(first + written, piece), false);
    REQUIRE(what != delivery::gone);
    written += piece;
    if (what == delivery::above_high_watermark) break;
  }
  return written;
}

}  // namespace

TEST_CASE("a streamed response whose client does not read goes into the file, up to the limit, and arrives in order") {
  auto const disk = std::make_shared<broken_disk>();
  line here(1, disk, most_stored);
  here.attach_all();
  std::size_t const written = write_until_full(here, 60'000, 100 << 20);
  CHECK(written > most_stored);
  CHECK(written < most_stored + (8 << 20));  // the socket takes some, too
  CHECK(here.lent() != 0);
  CHECK(here.out.await_room(here.at(0)));
  CHECK(!here.told(0));
  std::string const got = here.all_arrived();
  CHECK(here.told(0));
  CHECK(!here.out.await_room(here.at(0)));
  CHECK((got == numbered(0, written)));
  CHECK(here.lent() == 0);
  CHECK(here.deliver(0, "end") == delivery::taken);
  CHECK(here.arrived() == "end");
  CHECK(here.out.now().waiting == 0);
}

TEST_CASE("a writer that waits for the file goes on once its client has read half of it") {
  auto const disk = std::make_shared<broken_disk>();
  line here(1, disk, most_stored);
  here.attach_all();
  std::size_t written = write_until_full(here, 60'000, 100 << 20);
  std::string got;
  int times_told = 0;
  for (; written < 5 * most_stored; written += write_until_full(here, 60'000, 100 << 20, written)) {
    REQUIRE(here.out.await_room(here.at(0)));
    while (!here.told(0)) {
      got += here.arrived();
      static_cast<void>(here.out.take_pending());
      here.out.writable();
    }
    ++times_told;
    // It is told once, and need not wait again although much of its response is still in the file.
    REQUIRE(!here.out.await_room(here.at(0)));
    CHECK(here.out.now().unsent > most_stored / 4);
  }
  CHECK(times_told > 4);
  got += here.all_arrived();
  CHECK((got == numbered(0, written)));
}

TEST_CASE("a response that ends while it is in the file is sent to its end, and the next one follows") {
  auto const disk = std::make_shared<broken_disk>();
  line here(2, disk, most_stored);
  here.attach_all();
  here.serve(0);
  here.serve(1);
  std::size_t const written = write_until_full(here, 10'000, 5 << 20);
  CHECK(here.deliver(0, "end") == delivery::taken);
  CHECK(here.take_handled() == std::vector{&here.at(0)});
  std::string const got = here.all_arrived();
  CHECK((got == numbered(0, written) + "end"));
  CHECK(here.take_handled() == std::vector{&here.at(1)});
  CHECK(here.lent() == 0);
}

TEST_CASE("a client that leaves: what was in the file is released with the response") {
  auto const disk = std::make_shared<broken_disk>();
  line here(1, disk, most_stored);
  here.attach_all();
  static_cast<void>(write_until_full(here, 10'000, 5 << 20));
  CHECK(here.lent() != 0);
  ::close(std::exchange(here.client, -1));
  here.out.writable();
  CHECK((here.out.take_pending() & response_pipeline::hang_up) != 0);
  CHECK(here.deliver(0, "more", false) == delivery::gone);
  here.out.close();
  here.replies.clear();
  CHECK(here.lent() == 0);
}

TEST_CASE("a full disk: the writer waits as without one, and nothing is lost") {
  auto const disk = std::make_shared<broken_disk>();
  line here(1, disk, most_stored);
  here.attach_all();
  std::size_t written = write_until_full(here, 60'000, 2 << 20);
  disk->write_error = ENOSPC;
  for (;;) {
    delivery const what = here.deliver(0, numbered(written, 60'000), false);
    written += 60'000;
    if (what == delivery::above_high_watermark) break;
    REQUIRE(written < (10 << 20));
  }
  CHECK(here.out.await_room(here.at(0)));
  disk->write_error = 0;
  std::string const got = here.all_arrived();
  CHECK(here.told(0));
  CHECK((got == numbered(0, written)));
}

TEST_CASE("a file that cannot be read ends the connection visibly") {
  auto const disk = std::make_shared<broken_disk>();
  line here(1, disk, most_stored);
  here.attach_all();
  std::size_t const written = write_until_full(here, 60'000, 4 << 20);
  disk->read_error = EIO;
  std::string const got = here.all_arrived();
  CHECK(numbered(0, written).starts_with(got));
  CHECK(got.size() < written);
  CHECK((here.out.take_pending() & response_pipeline::hang_up) != 0);
  CHECK(here.deliver(0, "more", false) == delivery::gone);
}

TEST_CASE("without a limit for the file, or if its client takes it at once, a response touches no disk") {
  auto const disk = std::make_shared<broken_disk>();
  {
    line here(1, disk, 0);
    here.attach_all();
    static_cast<void>(write_until_full(here, 60'000, 10 << 20));
  }
  line here(1, disk, most_stored);
  here.attach_all();
  CHECK(here.deliver(0, numbered(0, 100'000)) != delivery::gone);
  CHECK((here.all_arrived() == numbered(0, 100'000)));
  CHECK(disk->opened == 0);
}

TEST_CASE("what a client does not take of a response in one piece waits in the file, as far as that may have it") {
  auto const disk = std::make_shared<broken_disk>();
  std::uint64_t most = most_stored;
  SUBCASE("all of it") {}
  SUBCASE("a part") { most = 1 << 20; }
  SUBCASE("nothing") { most = 0; }
  SUBCASE("a full disk") { disk->write_error = ENOSPC; }
  line here(1, disk, most);
  here.attach_all();
  CHECK(here.deliver(0, large) != delivery::gone);
  CHECK((here.lent() != 0) == (most != 0 && disk->write_error == 0));
  CHECK((here.all_arrived() == large));
  CHECK(here.lent() == 0);
  CHECK(here.out.now().waiting == 0);
}

TEST_CASE("with any pieces, readers and disk errors, a response arrives whole and in order") {
  for (std::uint32_t seed = 1; seed <= stress::scaled(40); ++seed) {
    CAPTURE(seed);
    stress::dice chance(seed);
    auto const disk = std::make_shared<broken_disk>();
    disk->most = 1 + chance.below(200'000);
    line here(1, disk, 1 << 20);
    here.attach_all();
    std::size_t const total = chance.below(6 << 20);
    std::string got;
    bool ended = false;
    for (std::size_t written = 0; !ended;) {
      if (chance.once_in(20)) disk->write_error = chance.once_in(2) ? ENOSPC : 0;
      bool const waits = here.out.await_room(here.at(0));
      if (!waits) {
        std::size_t const length = std::min<std::size_t>(1 + chance.below(chance.once_in(4) ? 400'000 : 4000), total - written);
        written += length;
        ended = written == total;
        REQUIRE(here.deliver(0, numbered(written - length, length), ended, true, chance.once_in(2)) != delivery::gone);
      }
      if (waits || chance.once_in(10)) {
        got += here.arrived();
        if (here.out.take_pending() & response_pipeline::wait_writable) here.out.writable();
      }
      // A writer that was told to wait is told of room before it goes on.
      if (waits && !here.out.await_room(here.at(0))) static_cast<void>(here.told(0));
    }
    got += here.all_arrived();
    REQUIRE((got == numbered(0, total)));
    CHECK(here.out.now().waiting == 0);
    CHECK(here.lent() == 0);
  }
}

#ifdef __linux__

namespace {

// An unlinked file.
class some_file {
public:
  explicit some_file(std::string_view content) : descriptor(::memfd_create("response", MFD_CLOEXEC)) {
    REQUIRE(descriptor >= 0);
    REQUIRE(::write(descriptor, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  }
  ~some_file() { ::close(descriptor); }
  some_file(some_file const&) = delete;

  int const descriptor;
};

bool is_open(int descriptor) { return ::fcntl(descriptor, F_GETFD) >= 0; }

delivery deliver_file(line& here, std::size_t i, std::string_view head, server::file_range& rest) {
  iovec const one = server::piece(head);
  return here.out.deliver(here.at(i), {.pieces = {&one, 1}, .last = true, .keep_alive = true, .file = &rest});
}

}  // namespace

TEST_CASE("the I/O thread sends a file behind what a worker has sent, and before the next response") {
  std::string const content = numbered(0, 3'000'000);
  some_file const file(content);
  line here(2);
  here.attach_all();
  auto range = server::file_range::of(file.descriptor, 1'000'000, 1'500'000);
  REQUIRE(range);
  int const own = range->descriptor();
  REQUIRE(deliver_file(here, 0, "head ", *range) == delivery::taken);
  CHECK(range->empty());
  CHECK(here.arrived() == "head ");
  CHECK(here.wakes == 1);
  CHECK(here.out.now().unsent == 1'500'000);
  CHECK(here.out.now().stalled);
  here.deliver(1, "next");
  CHECK((here.all_arrived() == content.substr(1'000'000, 1'500'000) + "next"));
  CHECK(here.out.now().waiting == 0);
  here.replies.clear();
  CHECK_FALSE(is_open(own));
}

TEST_CASE("a file that has become shorter ends the connection") {
  some_file const file(numbered(0, 1'000'000));
  line here(1);
  here.attach_all();
  auto range = server::file_range::of(file.descriptor, 0, 1'000'000);
  REQUIRE(range);
  static_cast<void>(deliver_file(here, 0, "", *range));
  REQUIRE(::ftruncate(file.descriptor, 300'000) == 0);
  std::string got;
  for (int turn = 0; turn != 100 && !here.out.now().closing; ++turn) {
    here.out.writable();
    got += here.arrived();
  }
  CHECK(here.out.now().closing);
  CHECK((here.out.take_pending() & response_pipeline::hang_up) != 0);
  CHECK((got == numbered(0, 1'000'000).substr(0, 300'000)));
}

TEST_CASE("other connections have their turn while a file is sent to a client that takes it at once") {
  some_file const file(numbered(0, 8 << 20));
  line here(1);
  here.attach_all();
  auto range = server::file_range::of(file.descriptor, 0, 8 << 20);
  REQUIRE(range);
  static_cast<void>(deliver_file(here, 0, "", *range));
  while (here.out.now().waiting != 0) {
    auto const before = here.out.now().unsent;
    static_cast<void>(here.out.take_pending());
    here.out.writable();
    REQUIRE(before - here.out.now().unsent <= 1 << 20);
    static_cast<void>(here.arrived());
  }
}

TEST_CASE("a file that is not sent is closed with its response") {
  some_file const file(numbered(0, 1'000'000));
  line here(1);
  here.attach_all();
  auto range = server::file_range::of(file.descriptor, 0, 1'000'000);
  REQUIRE(range);
  int const own = range->descriptor();
  static_cast<void>(deliver_file(here, 0, "", *range));
  CHECK(is_open(own));
  here.out.close();
  here.replies.clear();
  CHECK_FALSE(is_open(own));
}

#endif
