// SPDX-License-Identifier: MIT
//
// Microbenchmarks without Ruby: `micro --list` lists them, `micro NUMBER SECONDS` runs one.
// Prints lines of operation, implementation, result and unit.

#include "stores.hpp"

#include <kino/registry.hpp>
#include <kino/responder.hpp>
#include <kino/run_permits.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

double since(clock_type::time_point began) {
  return std::chrono::duration<double>(clock_type::now() - began).count();
}

// Nanoseconds for each call of `once`.
template <class Once>
double cost(double seconds, Once once) {
  long calls = 0;
  auto const began = clock_type::now();
  double took = 0;
  do {
    for (int i = 0; i < 1000; ++i) once();
    calls += 1000;
    took = since(began);
  } while (took < seconds);
  return took * 1e9 / static_cast<double>(calls);
}

// Items per second from `producers` threads to as many consumers.
template <class Store>
double rate(double seconds, int producers) {
  Store store;
  std::atomic<bool> over{false};
  std::atomic<long> popped{0};
  std::vector<std::thread> makers, takers;
  auto const began = clock_type::now();
  for (int i = 0; i < producers; ++i) {
    makers.emplace_back([&] {
      // relaxed: a stale value costs an item or two.
      while (!over.load(std::memory_order_relaxed)) store.push(1);
    });
    takers.emplace_back([&] {
      long mine = 0;
      for (int value = 0;; ++mine) {
        store.pop(value);
        if (value < 0) break;
      }
      popped += mine;
    });
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  over = true;
  for (std::thread& maker : makers) maker.join();
  for (std::size_t i = 0; i < takers.size(); ++i) store.push(-1);
  for (std::thread& taker : takers) taker.join();
  return static_cast<double>(popped) / since(began);
}

struct measurement {
  std::string operation, implementation;
  std::function<double(double)> run;
  char const* unit;
};

template <class Store>
void add_store(std::vector<measurement>& all) {
  for (int producers : {1, 2, 8}) {
    std::string const threads = std::to_string(producers);
    all.push_back({threads + " to " + threads + " threads, waiting", Store::name,
                   [producers](double seconds) { return rate<Store>(seconds, producers); }, "items/s"});
  }
  all.push_back({"try_push and try_pop, one thread", Store::name,
                 [](double seconds) {
                   Store store;
                   int value = 0;
                   return cost(seconds, [&] {
                     static_cast<void>(store.try_push(1));
                     static_cast<void>(store.try_pop(value));
                   });
                 },
                 "ns"});
}

std::vector<measurement> measurements() {
  std::vector<measurement> all;
  add_store<micro::kino_store>(all);
  add_store<micro::mutex_store>(all);
  add_store<micro::moodycamel_store>(all);
#ifdef MICRO_HAS_BOOST
  add_store<micro::boost_store>(all);
#endif
#ifdef MICRO_HAS_TBB
  add_store<micro::tbb_store>(all);
#endif
#ifdef MICRO_HAS_CRATES
  add_store<micro::flume_store>(all);
  add_store<micro::crossbeam_store>(all);
#endif
  all.push_back({"registry: find one of 1000", "kino::registry", [](double seconds) {
                   kino::registry<int> registry;
                   std::vector<std::uint64_t> ids;
                   for (int i = 0; i < 1000; ++i) ids.push_back(registry.insert(i));
                   std::size_t turn = 0;
                   return cost(seconds, [&] {
                     if (!registry.find(ids[turn++ % ids.size()])) std::abort();
                   });
                 }, "ns"});
  all.push_back({"responder: make, answer, read", "kino::make_response", [](double seconds) {
                   return cost(seconds, [] {
                     auto [answer, respond] = kino::make_response<int>();
                     respond.answer(1);
                     if (answer.wait().value() != 1) std::abort();
                   });
                 }, "ns"});
  all.push_back({"permits: acquire, begin, end", "kino::run_permits", [](double seconds) {
                   kino::run_permits permits{{.workers = 8, .concurrency = 2}, [] { return false; }};
                   return cost(seconds, [&] {
                     if (!permits.acquire(permits[0])) std::abort();
                     permits.begin(permits[0]);
                     permits.end(permits[0]);
                   });
                 }, "ns"});
  return all;
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<measurement> const all = measurements();
  auto print = [](measurement const& one, double value) {
    std::printf("%s\t%s\t%.2f\t%s\n", one.operation.c_str(), one.implementation.c_str(), value, one.unit);
  };
  if (count == 2) {
    for (measurement const& one : all) print(one, 0);
  } else if (count == 3) {
    measurement const& one = all.at(static_cast<std::size_t>(std::atoi(arguments[1])));
    print(one, one.run(std::atof(arguments[2])));
  } else {
    std::fputs("micro --list | micro NUMBER SECONDS\n", stderr);
    return 2;
  }
  return 0;
}
