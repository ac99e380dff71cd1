// SPDX-License-Identifier: MIT
//
// Histograms of the times of exchanges, and several observers of the same ones.

#include "observers/request_metrics.hpp"

#include "observers/observer_list.hpp"

#include "../support/await.hpp"
#include "../support/http_server_test.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using server::exchange;

namespace {

class counting final : public server::observer {
public:
  std::atomic<int> seen{0};
  void ended(server::exchange_report const&) noexcept override { ++seen; }
};

}  // namespace

TEST_CASE("each exchange is in one class, with the times that it has reached") {
  auto const metrics = std::make_shared<server::request_metrics>();
  auto const beside = std::make_shared<counting>();
  server::options settings = patient_settings();
  settings.observes = server::observer_list::of({metrics, beside});
  desk requests;
  {
    running_http_server http(requests, settings);
    serving_threads const serving(requests, 1, [](exchange::reply const& each) {
      if (exchange::of(each).head().path() == "/waits") return static_cast<void>(each.expire());
      CHECK(exchange::of(each).begin());
      if (exchange::of(each).head().path() == "/") answer(each, "four");
    });
    client asking(http.port());
    for (char const* path : {"/", "/", "/waits"}) {
      REQUIRE(asking.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n"));
      static_cast<void>(asking.read_response());
    }
    client wrong(http.port());
    REQUIRE(wrong.send("GET / HTTP/1.1\r\n\r\n"));
    CHECK(wrong.read_response().status == 400);
    await([&] { return beside->seen == 4; });
  }
  server::request_totals sums;
  metrics->add_to(sums);
  CHECK(sums.total[2].count() == 2);
  CHECK(sums.total[4].count() == 1);
  CHECK(sums.total[5].count() == 1);
  CHECK(sums.queue.count() == 3);  // not the refused one
  CHECK(sums.app.count() == 2);    // only those that were taken
  CHECK(sums.response_bytes >= 8);
  std::uint64_t ends = 0;
  for (std::uint64_t each : sums.ends) ends += each;
  CHECK(ends == 4);
  CHECK(sums.ends[static_cast<std::size_t>(server::exchange_end::refused)] == 1);
  CHECK(sums.ends[static_cast<std::size_t>(server::exchange_end::expired)] == 1);
}

TEST_CASE("a list of one observer is that observer, and of none is none") {
  auto const one = std::make_shared<counting>();
  CHECK(server::observer_list::of({one}) == one);
  CHECK(!server::observer_list::of({}));
}
