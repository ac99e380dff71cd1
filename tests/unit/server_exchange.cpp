// SPDX-License-Identifier: MIT
//
// Exchanges and their pool: a returned exchange is as good as new, from any thread and at any time.

#include "http/exchange.hpp"

#include "../support/null_sink.hpp"
#include "../support/stress.hpp"

#include <kino/channel.hpp>

#include <doctest/doctest.h>

#include <deque>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace server = kino::server;
using server::exchange;
using server::exchange_pool;

namespace {

// A request that no connection has: it goes back to its pool with its last handle.
exchange::reply acquire(exchange_pool& pool) { return exchange::reply(pool.acquire(null_sink_test::nowhere())); }

void collect(exchange_pool& pool, exchange& body_of, std::size_t size) {
  server::body_spool& body = body_of.collected();
  body.begin(pool.spool(), 1 << 20);
  pool.lend_memory(body);
  body.append(std::string(size, 'b'));
}

}  // namespace

TEST_CASE("an exchange comes back empty, with its memory") {
  auto const pool = exchange_pool::make();
  void const* place = nullptr;
  char const* memory = nullptr;
  {
    exchange::reply const first = acquire(*pool);
    exchange& one = exchange::of(first);
    place = &one;
    CHECK(one.response().start(200) == server::response_head::problem::none);
    CHECK(one.response().add("x-a", "b") == server::response_head::problem::none);
    one.response().fields().each([&](std::string_view name, std::string_view) { memory = name.data(); });
    collect(*pool, one, 100);
    CHECK(one.begin());
    CHECK(!one.begin());
    one.departures().notify();
  }
  exchange::reply const again = acquire(*pool);
  exchange& one = exchange::of(again);
  REQUIRE(&one == place);
  CHECK(!again.ended());
  CHECK(one.begin());
  CHECK(one.response().fields().count() == 0);
  CHECK(one.response().add("x-c", "d") == server::response_head::problem::none);
  one.response().fields().each([&](std::string_view name, std::string_view) { CHECK(name.data() == memory); });
  CHECK(one.collected().size() == 0);
  CHECK(!one.streamed());
  CHECK(one.ready_at() == server::clock::time_point{});
  // The notification of the request before is none of this one's.
  CHECK(one.departures().park(server::clock::now()) == kino::park_result::timed_out);
}

TEST_CASE("there are as many exchanges as were out at once") {
  auto const pool = exchange_pool::make();
  std::set<exchange*> all;
  for (int round = 0; round < 100; ++round) {
    std::vector<exchange::reply> out;
    for (int i = 0; i < 7; ++i) {
      out.push_back(acquire(*pool));
      all.insert(&exchange::of(out.back()));
    }
  }
  CHECK(all.size() == 7);
}

TEST_CASE("the memory of large bodies goes from one to the next, and so much is kept at most") {
  auto const pool = exchange_pool::make();
  constexpr std::size_t large = 100'000;
  std::vector<exchange::reply> out;
  for (std::size_t i = 0; i < server::tuning::spare_bodies + 5; ++i) {
    out.push_back(acquire(*pool));
    collect(*pool, exchange::of(out.back()), large);
  }
  out.clear();
  std::size_t with_memory = 0;
  for (std::size_t i = 0; i < server::tuning::spare_bodies + 5; ++i) {
    out.push_back(acquire(*pool));
    server::body_spool& body = exchange::of(out.back()).collected();
    body.begin(pool->spool(), 1 << 20);
    pool->lend_memory(body);
    server::byte_buffer memory;
    body.swap_memory(memory);
    CHECK(memory.empty());
    with_memory += memory.capacity() >= large;
  }
  CHECK(with_memory == server::tuning::spare_bodies);
}

TEST_CASE("exchanges come back from other threads, also after their pool's owner has gone") {
  constexpr std::uint32_t threads = 4;
  std::uint32_t const rounds = stress::scaled(50'000);
  auto pool = exchange_pool::make();
  std::vector<std::vector<exchange::reply>> kept(threads);
  {
    std::deque<kino::channel<exchange::reply>> queues;
    for (std::uint32_t i = 0; i < threads; ++i) queues.emplace_back(1024);
    std::vector<std::thread> workers;
    for (std::uint32_t i = 0; i < threads; ++i) {
      workers.emplace_back([&, i] {
        stress::dice chance(i + 1);
        for (exchange::reply taken; queues[i].pop(taken) == kino::pop_result::popped; taken = {}) {
          if (chance.once_in(rounds / 8)) kept[i].push_back(std::move(taken));
        }
      });
    }
    for (std::uint32_t round = 0; round < rounds; ++round) {
      REQUIRE(queues[round % threads].push(acquire(*pool)) == kino::push_result::pushed);
    }
    for (auto& each : queues) each.close();
    for (std::thread& each : workers) each.join();
  }
  pool.reset();  // its last exchange takes it along
  std::vector<std::thread> last;
  for (auto& each : kept) last.emplace_back([&each] { each.clear(); });
  for (std::thread& each : last) each.join();
}
