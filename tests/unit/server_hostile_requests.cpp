// SPDX-License-Identifier: MIT
//
// The cost of requests designed to be expensive: the memory of the request, which equals the bytes copied into it, and
// allocations. A request of twice the size may cost at most twice as much.

#include "http/field_groups.hpp"
#include "http1/http_parser.hpp"

#include "../support/private_access.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <new>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::string_literals;
using kino::server::http_parser;
using kino::server::rejection;
using kino::server::request;

KINO_TEST_REACH(text_of, kino::server::field_section, text_)

namespace {

std::atomic<std::size_t> allocated{0};  // bytes, by operator new

}  // namespace

// Not inlined: g++ would warn of a mismatch if it inlined only one of the two.
[[gnu::noinline]] void* operator new(std::size_t size) {
  allocated += size;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

struct work {
  http_parser::state what = http_parser::state::incomplete;
  std::size_t copied = 0;     // into the request
  std::size_t kept = 0;       // memory of the request
  std::size_t allocated = 0;  // by operator new
  std::size_t pieces = 0;     // of the body, handed to the sink
};

struct counting_sink final : http_parser::sink {
  std::size_t pieces = 0;
  rejection on_head() override { return {}; }
  rejection on_body(std::string_view) override {
    ++pieces;
    return {};
  }
};

// Parses `bytes` in pieces of `step` bytes.
work work_of(std::string_view bytes, std::size_t step, kino::server::limits const& limit) {
  work done;
  counting_sink sink;
  request head;
  http_parser parser(sink, limit);
  std::size_t const before = allocated;
  parser.start(head);
  for (std::size_t at = 0; at < bytes.size() && done.what == http_parser::state::incomplete;) {
    auto const result = parser.parse(bytes.substr(at, step));
    done.what = result.what;
    at += result.consumed;
  }
  done.allocated = allocated - before;
  for (auto* section : {&head.fields(), &head.trailers()}) {
    done.copied += text_of(*section).size();
    done.kept += text_of(*section).capacity();
  }
  done.pieces = sink.pieces;
  return done;
}

// Requests in which something is repeated `count` times.
struct shape {
  std::string name;
  std::function<std::string(std::size_t count)> make;
};

std::string const head = "POST / HTTP/1.1\r\nHost: x\r\n";
std::string const chunked = head + "Transfer-Encoding: chunked\r\n\r\n";

std::string times(std::size_t count, std::string_view what) {
  std::string made;
  made.reserve(count * what.size());
  while (count-- != 0) made += what;
  return made;
}

std::string numbered(std::size_t count, std::string const& before, std::string const& after) {
  std::string made;
  while (count-- != 0) made += before + std::to_string(1'000'000 + count) + after;
  return made;
}

std::vector<shape> shapes() {
  auto const fields = [](std::string const& each) {
    return [=](std::size_t count) { return head + times(count, each) + "\r\n"; };
  };
  return {
      {"one name", fields("a:b\r\n")},
      {"one name without a value", fields("a:\r\n")},
      {"an underscore", fields("_:\r\n")},
      {"cookies", fields("Cookie:b\r\n")},
      {"two names in turn", fields("a:b\r\nc:d\r\n")},
      {"underscores", fields("a_a:b\r\nb_b:c\r\n")},
      {"connection options", fields("Connection:,close,,\r\n")},
      {"expectations", fields("Expect:100-continue,\r\n")},
      {"distinct names",
       [](std::size_t n) { return head + numbered(n, "a", ":b\r\n") + "\r\n"; }},
      {"distinct underscored names",
       [](std::size_t n) { return head + numbered(n, "a_", ":b\r\n") + "\r\n"; }},
      {"a long value", [](std::size_t n) { return head + "a:" + times(n, "b") + "\r\n\r\n"; }},
      {"blanks behind a value",
       [](std::size_t n) { return head + "a:b" + times(n, " ") + "\r\n\r\n"; }},
      {"a long name", [](std::size_t n) { return head + times(n, "a") + ":b\r\n\r\n"; }},
      {"a long target",
       [](std::size_t n) {
         return "GET /" + times(n, "%20?/") + " HTTP/1.1\r\nHost: x\r\n\r\n";
       }},
      {"a long host",
       [](std::size_t n) { return "GET / HTTP/1.1\r\nHost: " + times(n, "%20") + "\r\n\r\n"; }},
      {"a port of zeros",
       [](std::size_t n) { return "GET / HTTP/1.1\r\nHost: a:" + times(n, "0") + "\r\n\r\n"; }},
      {"empty lines", [](std::size_t n) { return times(n, "\r\n") + head + "\r\n"; }},
      {"a list of nothing",
       [](std::size_t n) {
         return head + "Transfer-Encoding: chunked" + times(n, ", ") + "\r\n\r\n0\r\n\r\n";
       }},
      {"chunks of one byte",
       [](std::size_t n) { return chunked + times(n, "1\r\na\r\n") + "0\r\n\r\n"; }},
      {"zeros before a size",
       [](std::size_t n) { return chunked + times(n, "0") + "1\r\na\r\n0\r\n\r\n"; }},
      {"chunk extensions",
       [](std::size_t n) { return chunked + "1" + times(n, ";ab") + "\r\na\r\n0\r\n\r\n"; }},
      {"an extension per chunk",
       [](std::size_t n) { return chunked + times(n, "1;a=b\r\na\r\n") + "0\r\n\r\n"; }},
      {"trailers",
       [](std::size_t n) { return chunked + "0\r\n" + times(n, "a:b\r\n") + "\r\n"; }},
      {"distinct trailers",
       [](std::size_t n) { return chunked + "0\r\n" + numbered(n, "a", ":b\r\n") + "\r\n"; }},
  };
}

// The largest limits that can be set.
kino::server::limits widest() {
  kino::server::limits made;
  made.max_header_size = kino::server::tuning::most_header_size;
  made.max_header_fields = 65536;
  return made;
}

void grows_linearly(std::string const& once, std::string const& twice, std::size_t step) {
  static kino::server::limits const limit = widest();
  work const small = work_of(once, step, limit);
  work const large = work_of(twice, step, limit);
  CHECK(small.what == large.what);
  CHECK(large.copied <= 2 * small.copied + 512);
  CHECK(large.allocated <= 2 * small.allocated + 4096);
  CHECK(large.pieces <= 2 * small.pieces + 8);
  CHECK(large.copied <= twice.size() + 1);
  CHECK(large.kept <= 4 * twice.size() + 1024);
}

}  // namespace

TEST_CASE("a request of twice the size costs at most twice as much, whatever it consists of") {
  for (shape const& each : shapes()) {
    CAPTURE(each.name);
    std::string const once = each.make(2000);
    std::string const twice = each.make(4000);
    CHECK(work_of(once, once.size(), widest()).what == http_parser::state::complete);
    for (std::size_t const step : {twice.size(), std::size_t{8192}, std::size_t{7}}) {
      grows_linearly(once, twice, step);
    }
  }
}

TEST_CASE("random requests of twice the size cost at most twice as much") {
  static constexpr std::string_view pieces[] = {
      "a", "B", ":", ": ",         "\r\n", "\r\n",    "a:b\r\n", "_",           "-",
      ",", " ", "0", "1\r\na\r\n", ";",    "Cookie:", "x_y:",    "Connection:", "\t"};
  std::mt19937 random(13);
  std::size_t complete = 0;
  for (int round = 0; round < 200; ++round) {
    std::string unit;
    for (std::size_t left = 1 + random() % 6; left != 0; --left)
      unit += pieces[random() % std::size(pieces)];
    if (random() % 2) unit += ":\r\n";
    CAPTURE(unit);
    std::string const& before = random() % 3 ? head : chunked;
    std::string const once = before + times(1000, unit) + "\r\n";
    grows_linearly(once, before + times(2000, unit) + "\r\n",
                   random() % 2 ? once.size() * 2 : 1 + random() % 100);
    complete += work_of(once, once.size(), widest()).what == http_parser::state::complete;
  }
  CHECK(complete > 10);
}

TEST_CASE("with the default limits, the memory of every request is bounded") {
  kino::server::limits const limit;
  for (shape const& each : shapes()) {
    CAPTURE(each.name);
    std::string const bytes = each.make(100000);
    for (std::size_t const step : {bytes.size(), std::size_t{65536}, std::size_t{512}}) {
      work const done = work_of(bytes, step, limit);
      CHECK(done.kept <= 4 * std::max(limit.max_header_size, std::min(step, bytes.size())));
      CHECK(done.allocated <= 64 * limit.max_header_fields);
      // A chunk may have 20 bytes for its size, extensions and line breaks.
      bool const sound =
          each.name == "chunks of one byte" || each.name == "an extension per chunk";
      CHECK((done.what == http_parser::state::complete) == sound);
    }
  }
}

TEST_CASE("grouping names with equal hashes does not compare all pairs") {
  auto const comparisons = [](std::size_t count) {
    std::vector<std::uint64_t> order;
    std::size_t asked = 0;
    std::size_t groups = 0;
    kino::server::for_each_repeated(
        order, count, [](std::size_t) { return std::uint32_t{1}; },
        [&](std::size_t field) {
          ++asked;
          return field / 2;
        },
        [&](std::span<std::uint64_t const> fields) { groups += fields.size() == 2; });
    CHECK(groups == count / 2);
    return asked;
  };
  CHECK(comparisons(20000) < 3 * comparisons(10000));
}

TEST_CASE("every key is visited once, with all its fields in order") {
  std::mt19937 random(17);
  std::vector<std::uint64_t> order;
  for (int round = 0; round < 2000; ++round) {
    std::vector<unsigned> keys(random() % 40);
    unsigned const different = 1 + random() % 40;
    for (unsigned& key : keys) key = random() % different;
    std::vector<std::vector<std::uint64_t>> expected(different);
    for (std::size_t i = 0; i < keys.size(); ++i) expected[keys[i]].push_back(i);
    std::vector<std::vector<std::uint64_t>> found(different);
    kino::server::for_each_repeated(
        order, keys.size(), [&](std::size_t field) { return keys[field] % 7; },
        [&](std::size_t field) { return keys[field]; },
        [&](std::span<std::uint64_t const> fields) {
          auto& group = found[keys[fields.front()]];
          REQUIRE(group.empty());
          group.assign(fields.begin(), fields.end());
        });
    std::erase_if(expected, [](auto const& group) { return group.size() < 2; });
    std::erase_if(found, [](auto const& group) { return group.empty(); });
    REQUIRE(found == expected);
  }
}

TEST_CASE("positions in the largest head do not overflow") {
  // Fields at the very end of sixteen megabytes.
  std::string const filler = times(16, "x: " + std::string(900 * 1024, 'v') + "\r\n");
  std::string const bytes = head + filler + "last: here\r\n\r\n";
  counting_sink sink;
  request parsed;
  kino::server::limits const limit = widest();
  http_parser parser(sink, limit);
  parser.start(parsed);
  REQUIRE(parser.parse(bytes).what == http_parser::state::complete);
  kino::server::field_section const& fields = parsed.fields();
  CHECK(fields.value(fields.all().back()) == "here");
  auto const& repeated = fields.all()[1];
  std::string joined(fields.joined_size(repeated), '\0');
  REQUIRE(joined.size() == 16 * 900 * 1024 + 15 * 2);
  fields.copy_joined(repeated, joined.data());
  CHECK(joined.ends_with("v, " + std::string(900 * 1024, 'v')));
}
