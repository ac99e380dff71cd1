// SPDX-License-Identifier: MIT

#include <kino/stats.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <clocale>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

using namespace std::chrono_literals;
using kino::latency_histogram;

TEST_CASE("a counter counts from many threads") {
  kino::counter events;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 10'000; ++i) events.add();
      });
    }
  }
  events.add(5);
  CHECK(events.total() == 40'005);
}

TEST_CASE("a bucket holds durations up to and including its bound") {
  latency_histogram histogram;
  for (std::size_t i = 0; i < latency_histogram::buckets; ++i) {
    CAPTURE(i);
    auto const before = histogram.in_bucket(i);
    histogram.record(latency_histogram::bound(i));
    CHECK(histogram.in_bucket(i) == before + 1);
    if (i + 1 < latency_histogram::buckets) {
      auto const next = histogram.in_bucket(i + 1);
      histogram.record(latency_histogram::bound(i) + 1ns);
      CHECK(histogram.in_bucket(i + 1) == next + 1);
    }
  }
}

TEST_CASE("zero, negative and very long durations are counted") {
  latency_histogram histogram;
  histogram.record(0ns);
  histogram.record(-5s);
  histogram.record(1ns);
  CHECK(histogram.in_bucket(0) == 3);
  CHECK(histogram.sum() == 1ns);
  histogram.record(24h);
  CHECK(histogram.in_bucket(latency_histogram::buckets - 1) == 1);
  CHECK(histogram.count() == 4);
  CHECK(histogram.sum() == 24h + 1ns);
}

TEST_CASE("the last bucket begins after 67 seconds") {
  CHECK(latency_histogram::bound(latency_histogram::buckets - 2) > 67s);
  CHECK(latency_histogram::bound(latency_histogram::buckets - 2) < 68s);
}

TEST_CASE("a quantile is exact to a factor of two") {
  latency_histogram histogram;
  CHECK(histogram.quantile(0.5) == 0us);
  for (int i = 0; i < 90; ++i) histogram.record(100us);
  for (int i = 0; i < 10; ++i) histogram.record(10ms);
  CHECK(histogram.quantile(0.5) == 128us);
  CHECK(histogram.quantile(0.9) == 128us);
  CHECK(histogram.quantile(0.91) == 16384us);
  CHECK(histogram.quantile(1) == 16384us);
}

TEST_CASE("counters, gauges and labelled samples are written in Prometheus' text format") {
  kino::metrics_text text;
  text.counter("kino_served_total", "Requests served.", 7);
  text.gauge("kino_load", "Load.", 0.5);
  text.family("kino_slot_served_total", "Served by slot.", "counter");
  text.sample("kino_slot_served_total", "slot=\"0\"", std::uint64_t{18446744073709551615u});
  text.sample("kino_slot_served_total", "slot=\"1\"", std::uint64_t{0});
  CHECK(text.str() ==
        "# HELP kino_served_total Requests served.\n"
        "# TYPE kino_served_total counter\n"
        "kino_served_total 7\n"
        "# HELP kino_load Load.\n"
        "# TYPE kino_load gauge\n"
        "kino_load 0.5\n"
        "# HELP kino_slot_served_total Served by slot.\n"
        "# TYPE kino_slot_served_total counter\n"
        "kino_slot_served_total{slot=\"0\"} 18446744073709551615\n"
        "kino_slot_served_total{slot=\"1\"} 0\n");
}

TEST_CASE("a histogram's buckets are cumulative, end with +Inf and agree with its count") {
  latency_histogram histogram;
  histogram.record(1us);
  histogram.record(3us);
  histogram.record(4us);
  histogram.record(2h);
  kino::metrics_text text;
  text.histogram("wait_seconds", "Waits.", histogram);

  std::istringstream lines(text.str());
  std::string line;
  std::vector<std::string> all;
  while (std::getline(lines, line)) all.push_back(line);
  REQUIRE(all.size() == 2 + latency_histogram::buckets + 2);
  CHECK(all[0] == "# HELP wait_seconds Waits.");
  CHECK(all[1] == "# TYPE wait_seconds histogram");
  CHECK(all[2] == "wait_seconds_bucket{le=\"1e-06\"} 1");
  CHECK(all[3] == "wait_seconds_bucket{le=\"2e-06\"} 1");
  CHECK(all[4] == "wait_seconds_bucket{le=\"4e-06\"} 3");
  CHECK(all[latency_histogram::buckets] == "wait_seconds_bucket{le=\"67.1089\"} 3");
  CHECK(all[latency_histogram::buckets + 1] == "wait_seconds_bucket{le=\"+Inf\"} 4");
  CHECK(all[latency_histogram::buckets + 2] == "wait_seconds_sum 7200.000008");
  CHECK(all[latency_histogram::buckets + 3] == "wait_seconds_count 4");

  std::uint64_t last = 0;
  for (std::size_t i = 2; i < 2 + latency_histogram::buckets; ++i) {
    auto const value = std::stoull(all[i].substr(all[i].rfind(' ') + 1));
    CHECK(value >= last);
    last = value;
  }
}

#ifdef __GLIBC__

namespace {

// LC_NUMERIC of a compiled locale with a decimal comma, so no locale needs to be installed.
constexpr unsigned char comma_numbers[] = {
    0x14, 0x11, 0x03, 0x20, 6, 0, 0, 0, 0x20, 0,   0,   0,   0x22, 0,   0,   0,  0x23,
    0,    0,    0,    0x24, 0, 0, 0, 0x28, 0, 0,   0,   0x2c, 0,   0,   0,   ',', 0,
    0,    0,    ',',  0,    0, 0, ',', 0,  0, 0,   'U', 'T', 'F',  '-', '8', 0};

}  // namespace

TEST_CASE("numbers have a decimal point, even if the program's locale has a comma") {
  auto const directory = std::filesystem::temp_directory_path() /
                         ("kino-locale-" + std::to_string(getpid()));
  std::filesystem::create_directories(directory / "comma");
  std::ofstream(directory / "comma" / "LC_NUMERIC", std::ios::binary)
      .write(reinterpret_cast<char const*>(comma_numbers), sizeof comma_numbers);
  REQUIRE(setenv("LOCPATH", directory.c_str(), 1) == 0);
  REQUIRE(std::setlocale(LC_NUMERIC, "comma"));
  char printed[8];
  std::snprintf(printed, sizeof printed, "%.1f", 0.5);

  latency_histogram histogram;
  histogram.record(1500us);
  kino::metrics_text text;
  text.gauge("kino_load", "Load.", 0.5);
  text.histogram("wait_seconds", "Waits.", histogram);
  std::setlocale(LC_NUMERIC, "C");
  std::filesystem::remove_all(directory);

  CHECK(std::string(printed) == "0,5");
  CHECK(text.str().find("kino_load 0.5\n") != std::string::npos);
  CHECK(text.str().find("{le=\"0.002048\"} 1\n") != std::string::npos);
  CHECK(text.str().find("wait_seconds_sum 0.0015\n") != std::string::npos);
  CHECK(text.str().find(',') == std::string::npos);
}

#endif

TEST_CASE("a histogram counts what others have counted") {
  kino::latency_histogram one, other, both;
  one.record(std::chrono::microseconds{100});
  other.record(std::chrono::microseconds{100});
  other.record(std::chrono::hours{1});
  both.add(one);
  both.add(other);
  CHECK(both.count() == 3);
  CHECK(both.in_bucket(7) == 2);
  CHECK(both.in_bucket(kino::latency_histogram::buckets - 1) == 1);
  CHECK(both.sum() == one.sum() + other.sum());
}

TEST_CASE("the samples of a histogram have its labels beside their bound") {
  kino::latency_histogram one;
  one.record(std::chrono::microseconds{1});
  kino::metrics_text text;
  text.histogram_samples("t", "class=\"2xx\"", one);
  CHECK(text.str().starts_with("t_bucket{class=\"2xx\",le=\"1e-06\"} 1\n"));
  CHECK(text.str().ends_with("t_bucket{class=\"2xx\",le=\"+Inf\"} 1\nt_sum{class=\"2xx\"} 1e-06\nt_count{class=\"2xx\"} 1\n"));
}

TEST_CASE("OpenMetrics names the family of a counter without its suffix, and has an end") {
  kino::metrics_text text(kino::metrics_text::format::open_metrics);
  text.counter("a_total", "A.", 1);
  text.gauge("b_total", "B.", 2);
  text.finish();
  CHECK(text.str() == "# HELP a A.\n# TYPE a counter\na_total 1\n# HELP b_total B.\n# TYPE b_total gauge\nb_total 2\n# EOF\n");
}
