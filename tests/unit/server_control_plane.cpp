// SPDX-License-Identifier: MIT
//
// The control plane without Ruby: its answers, and which clients get them.

#include "control/control_plane.hpp"

#include "../support/http_server_test.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace server = kino::server;
using http_server_test::client;
using http_server_test::response;
using server::server_phase;

namespace {

constexpr std::string_view secret = "0123456789abcdef";

class told final : public server::control_source {
public:
  std::atomic<server_phase> now{server_phase::serving};
  server::current_requests current{1};

  [[nodiscard]] server_phase phase() const noexcept override { return now; }
  [[nodiscard]] server::server_statistics statistics() const override {
    server::server_statistics made{};
    made.served = 4711;
    made.slots = {{0, true, false, 1, 4711, 1, std::chrono::milliseconds(12), {}}};
    return made;
  }
  [[nodiscard]] server::current_requests::view request_of(std::size_t worker) const override { return current.of(worker); }
  void add_requests_to(server::request_totals& sums) const noexcept override {
    sums.queue.record(std::chrono::milliseconds(1));
    sums.total[2].record(std::chrono::milliseconds(2));
    sums.ends[0] = 1;
    sums.response_bytes = 13;
  }
  [[nodiscard]] bool add_gvl_waits_to(kino::latency_histogram& sums) const noexcept override {
    if (measures_gvl) sums.record(std::chrono::milliseconds(3));
    return measures_gvl;
  }
  bool measures_gvl = false;
};

class running_control_plane {
public:
  explicit running_control_plane(std::string_view token = {}, std::string path = {})
      : plane_(settings(token, std::move(path)), source), port_(start()) {}
  ~running_control_plane() { plane_.stop(); }

  told source;

  // Waits for the next question and answers it, as Ruby does.
  void answer_as_ruby(std::optional<std::string> text, std::string_view subject = "ruby", std::string_view detail = "") {
    server::inquiry next;
    REQUIRE(plane_.questions().questions().pop(next) == kino::pop_result::popped);
    CHECK(next.subject == subject);
    CHECK(next.detail == detail);
    plane_.questions().answer(next.number, std::move(text));
  }
  // Waits for the next question; returns its number.
  std::uint64_t next_question() {
    server::inquiry next;
    REQUIRE(plane_.questions().questions().pop(next) == kino::pop_result::popped);
    return next.number;
  }
  void answer(std::uint64_t question, std::string text) { plane_.questions().answer(question, std::move(text)); }
  void leave() { plane_.leave(); }
  [[nodiscard]] client connected() const { return client(port_); }
  [[nodiscard]] response ask(std::string_view start, std::string_view fields = "Host: localhost\r\n") const {
    client asking(port_);
    REQUIRE(asking.send(std::string(start) + " HTTP/1.1\r\n" + std::string(fields) + "\r\n"));
    return asking.read_response();
  }

private:
  static server::control_settings settings(std::string_view token, std::string path) {
    server::control_settings made;
    path.empty() ? made.binds.push_back({"127.0.0.1", 0, {}}) : made.binds.push_back({{}, 0, std::move(path)});
    made.token = token;
    made.mode = "ractor";
    made.workers = 2;
    made.threads = 3;
    made.started = 1234567890.5;
    return made;
  }
  std::uint16_t start() {
    auto const bound = plane_.listen();
    plane_.start();
    return bound.front().port;
  }

  server::control_plane plane_;
  std::uint16_t port_;
};

std::string host(std::string_view name) { return "Host: " + std::string(name) + "\r\n"; }

std::string bearer(std::string_view token) {
  return host("localhost") + "Authorization: Bearer " + std::string(token) + "\r\n";
}

}  // namespace

TEST_CASE("ready follows the life of the server, live does not") {
  running_control_plane plane;
  plane.source.now = server_phase::starting;
  CHECK(plane.ask("GET /ready").status == 503);
  CHECK(plane.ask("GET /ready").body == "starting\n");
  CHECK(plane.ask("GET /live").status == 200);
  plane.source.now = server_phase::serving;
  CHECK(plane.ask("GET /ready").status == 200);
  plane.source.now = server_phase::draining;
  CHECK(plane.ask("GET /ready").body == "draining\n");
  CHECK(plane.ask("GET /live").status == 200);
}

TEST_CASE("a probe that has reached a process which another one replaces hears that the service is ready") {
  running_control_plane plane;
  client kept = plane.connected();
  REQUIRE(kept.send("GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(kept.read_response().status == 200);
  plane.leave();
  plane.source.now = server_phase::draining;
  REQUIRE(kept.send("GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(kept.read_response().status == 200);
  CHECK(kept.ended());
}

TEST_CASE("probes need neither a token nor a host of this machine") {
  running_control_plane plane(secret);
  CHECK(plane.ask("GET /ready", host("10.1.2.3:9293")).status == 200);
  CHECK(plane.ask("GET /live", host("10.1.2.3:9293")).status == 200);
}

TEST_CASE("statistics are JSON with the facts of the server") {
  running_control_plane plane;
  std::string const body = plane.ask("GET /stats").body;
  CHECK(body.find("\"served\":4711,") != body.npos);
  CHECK(body.find("\"worker_status\":[{\"index\":0,\"occupied\":true,\"served\":4711,\"in_flight\":1,\"busy_ms\":12,\"quarantined\":false}],") != body.npos);
  CHECK(body.find("\"mode\":\"ractor\",\"workers\":2,\"threads\":3,") != body.npos);
}

TEST_CASE("with a token, only requests that send it are answered") {
  running_control_plane plane(secret);
  CHECK(plane.ask("GET /stats", bearer(secret)).status == 200);
  CHECK(plane.ask("GET /stats", host("any.example") + "Authorization: bearer  " + std::string(secret) + "\r\n").status == 200);
  CHECK(plane.ask("GET /stats").status == 401);
  CHECK(plane.ask("GET /stats?token=" + std::string(secret)).status == 401);
  CHECK(plane.ask("GET /stats", host("localhost") + "Authorization: Basic " + std::string(secret) + "\r\n").status == 401);
  CHECK(plane.ask("GET /stats", bearer("")).status == 401);
  for (std::size_t i = 0; i != secret.size(); ++i) {
    std::string wrong(secret);
    wrong[i] = '_';
    CHECK(plane.ask("GET /stats", bearer(wrong)).status == 401);
    CHECK(plane.ask("GET /stats", bearer(secret.substr(0, i))).status == 401);
  }
  CHECK(plane.ask("GET /stats", bearer(std::string(secret) + "0")).status == 401);
  CHECK(plane.ask("GET /stats", bearer(std::string(secret) + std::string(secret))).status == 401);
  // A second field joins the first, in HTTP; here, the first one counts.
  CHECK(plane.ask("GET /stats", bearer("wrong") + "Authorization: Bearer " + std::string(secret) + "\r\n").status == 401);
}

TEST_CASE("without a token, the Host must be a loopback address: a name may have been rebound to one") {
  running_control_plane plane;
  for (char const* own : {"localhost", "LOCALHOST:9293", "127.0.0.1", "127.0.0.1:80", "127.1.2.3", "[::1]:9293"}) {
    CAPTURE(own);
    CHECK(plane.ask("GET /stats", host(own)).status == 200);
  }
  for (char const* foreign : {"attacker.example", "127.0.0.1.attacker.example", "localhost.attacker.example:9293", "10.0.0.1",
                              "127.attacker.example", "[::2]", "0.0.0.0"}) {
    CAPTURE(foreign);
    CHECK(plane.ask("GET /stats", host(foreign)).status == 403);
  }
  CHECK(plane.ask("GET http://attacker.example/stats", host("localhost")).status == 403);
}

TEST_CASE("pages of other sites get nothing, with a token or without") {
  for (std::string_view token : {std::string_view{}, secret}) {
    running_control_plane plane(token);
    std::string const fields = token.empty() ? host("127.0.0.1:9293") : bearer(token);
    CHECK(plane.ask("GET /stats", fields).status == 200);
    CHECK(plane.ask("GET /stats", fields + "Origin: http://attacker.example\r\n").status == 403);
    CHECK(plane.ask("GET /stats", fields + "Origin: null\r\n").status == 403);
    CHECK(plane.ask("GET /stats", fields + "Sec-Fetch-Site: cross-site\r\n").status == 403);
    CHECK(plane.ask("GET /stats", fields + "Sec-Fetch-Site: same-origin\r\n").status == 200);
  }
  running_control_plane plane;
  CHECK(plane.ask("GET /stats", host("127.0.0.1:9293") + "Origin: http://127.0.0.1:9293\r\n").status == 200);
  CHECK(plane.ask("GET /stats", host("127.0.0.1:9293") + "Origin: http://127.0.0.1:8080\r\n").status == 403);
}

TEST_CASE("other paths and methods are refused") {
  running_control_plane plane;
  CHECK(plane.ask("GET /unknown").status == 404);
  CHECK(plane.ask("GET /stats/").status == 404);
  CHECK(plane.ask("OPTIONS /stats").status == 405);
  CHECK(plane.ask("POST /stats", host("localhost") + "Content-Length: 0\r\n").status == 405);
}

TEST_CASE("a request with a large head or body is refused") {
  running_control_plane plane;
  CHECK(plane.ask("GET /live", host("localhost") + "X: " + std::string(9000, 'x') + "\r\n").status == 431);
  CHECK(plane.ask("GET /live", host("localhost") + "Content-Length: 1025\r\n").status == 413);
}

TEST_CASE("clients that send half a request do not keep others from an answer: the oldest makes room") {
  running_control_plane plane;
  std::vector<client> slow;
  for (int i = 0; i != 200; ++i) {
    slow.push_back(plane.connected());
    static_cast<void>(slow.back().send("GET /stats HT"));
  }
  CHECK(plane.ask("GET /live").status == 200);
  CHECK(slow.front().ended());  // without the 408 that the deadline would have brought
  CHECK(plane.ask("GET /stats").status == 200);
}

TEST_CASE("clients that only connect do not take the place of one whose request is being answered") {
  running_control_plane plane;
  client asking = plane.connected();
  REQUIRE(asking.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  std::uint64_t const question = plane.next_question();
  std::string sent;
  SUBCASE("and send nothing") {}
  SUBCASE("and half a request") { sent = "GET /stats HT"; }
  SUBCASE("and a request without its body") { sent = "POST /stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"; }
  std::vector<client> others;
  for (int i = 0; i != 200; ++i) {
    others.push_back(plane.connected());
    static_cast<void>(others.back().send(sent));
  }
  CHECK(plane.ask("GET /live").status == 200);
  plane.answer(question, "kino_ruby_threads 7\n");
  CHECK(asking.read_response().status == 200);
}

TEST_CASE("an idle connection makes room before those whose request has not come") {
  running_control_plane plane;
  client first = plane.connected();
  REQUIRE(first.send("GET /live HT"));
  client idle = plane.connected();
  REQUIRE(idle.send("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(idle.read_response().status == 200);
  std::vector<client> others;
  for (int i = 0; i != 62; ++i) others.push_back(plane.connected());
  client last = plane.connected();
  REQUIRE(last.send("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(last.read_response().status == 200);
  CHECK(idle.ended());
  REQUIRE(first.send("TP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(first.read_response().status == 200);
}

TEST_CASE("while every connection has a request that is being answered, a new one still gets in") {
  running_control_plane plane;
  std::vector<client> asking;
  for (int i = 0; i != 64; ++i) {
    asking.push_back(plane.connected());
    REQUIRE(asking.back().send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    static_cast<void>(plane.next_question());
  }
  CHECK(plane.ask("GET /live").status == 200);
}

namespace {

// Asks for the metrics, with what Ruby answers.
response metrics(running_control_plane& plane, std::optional<std::string> ruby, std::string_view accept = "*/*") {
  client asking = plane.connected();
  REQUIRE(asking.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: " + std::string(accept) + "\r\n\r\n"));
  plane.answer_as_ruby(std::move(ruby));
  return asking.read_response();
}

bool has_line(std::string const& text, std::string_view line) { return ("\n" + text).find("\n" + std::string(line) + "\n") != text.npos; }

}  // namespace

TEST_CASE("metrics have the server's numbers, those of requests and those of Ruby") {
  running_control_plane plane;
  std::string const text = metrics(plane, "kino_gc_seconds_total 0.25\nkino_ruby_threads 7\nkino_unknown 1\nnonsense\n").body;
  for (char const* line : {"kino_requests_served_total 4711", "kino_workers_configured 6", "kino_workers_busy 1", "kino_ready 1",
                           "kino_worker_longest_request_seconds 0.012", "kino_start_time_seconds 1234567890.5",
                           "kino_exchanges_total{end=\"complete\"} 1", "kino_exchanges_total{end=\"refused\"} 0",
                           "kino_response_body_bytes_total 13", "kino_queue_duration_seconds_count 1",
                           "kino_request_duration_seconds_count{class=\"2xx\"} 1", "kino_request_duration_seconds_count{class=\"5xx\"} 0",
                           "kino_ruby_answered 1", "kino_gc_seconds_total 0.25", "kino_ruby_threads 7"}) {
    CAPTURE(line);
    CHECK(has_line(text, line));
  }
  CHECK(text.find("unknown") == text.npos);
  CHECK(text.find("kino_gc_runs") == text.npos);
}

TEST_CASE("metrics have the waits for the GVL if they are measured") {
  running_control_plane plane;
  CHECK(metrics(plane, "").body.find("gvl") == std::string::npos);
  plane.source.measures_gvl = true;
  std::string const text = metrics(plane, "").body;
  CHECK(has_line(text, "# TYPE kino_gvl_wait_duration_seconds histogram"));
  CHECK(has_line(text, "kino_gvl_wait_duration_seconds_sum 0.003"));
  CHECK(has_line(text, "kino_gvl_wait_duration_seconds_count 1"));
}

TEST_CASE("metrics are OpenMetrics for a client that reads it") {
  running_control_plane plane;
  std::string const prometheus = "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
  std::string const text = metrics(plane, "", prometheus).body;
  CHECK(has_line(text, "# TYPE kino_requests_served_total counter"));
  CHECK(!text.ends_with("# EOF\n"));
  std::string const open = metrics(plane, "", "application/openmetrics-text;version=1.0.0," + prometheus).body;
  CHECK(has_line(open, "# TYPE kino_requests_served counter"));
  CHECK(open.ends_with("\n# EOF\n"));
  CHECK(metrics(plane, "", "application/openmetrics-text; version=1.0.0; q=0.01").body.ends_with("# EOF\n"));
  for (std::string_view const refused : {"application/openmetrics-text;q=0", "application/openmetrics-text; version=1.0.0; Q=0.0"}) {
    CHECK(!metrics(plane, "", refused).body.ends_with("# EOF\n"));
  }
}

TEST_CASE("without an answer of Ruby, the metrics say so and have all else") {
  running_control_plane plane;
  std::string const refused = metrics(plane, std::nullopt).body;
  CHECK(has_line(refused, "kino_ruby_answered 0"));
  CHECK(has_line(refused, "kino_requests_served_total 4711"));
  // Nothing takes the questions; those beyond the capacity are answered at once, the others when patience is over.
  std::vector<client> all;
  for (std::size_t i = 0; i != 60; ++i) {
    all.push_back(plane.connected());
    for (int again = 0; again != 2; ++again) REQUIRE(all.back().send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  }
  for (client& each : all) {
    for (int again = 0; again != 2; ++again) CHECK(has_line(each.read_response().body, "kino_ruby_answered 0"));
  }
}

TEST_CASE("a control plane that stops drops its questions") {
  running_control_plane plane;
  client asking = plane.connected();
  REQUIRE(asking.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  plane.answer_as_ruby("");
  CHECK(asking.read_response().status == 200);
  REQUIRE(asking.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  static_cast<void>(plane.next_question());
}

TEST_CASE("a worker's request is shown without its query, and no longer than it lasts") {
  running_control_plane plane;
  server::request head;
  std::string const long_path = "/" + std::string(300, 'x');
  for (std::string const& path : {std::string("/a\"b"), long_path}) {
    head.clear();
    head.append_text("GET " + path + "?secret");
    std::string_view const text = head.text();
    head.set_method(text.substr(0, 3));
    server::request_target target;
    REQUIRE(server::request_target::parse("GET", text.substr(4), target).status == 0);
    head.set_target(target);
    plane.source.current.began(0, head, server::clock::now());
    std::string const body = plane.ask("GET /workers").body;
    std::string const shown = path == long_path ? path.substr(0, 256) + "\",\"path_is_cut\":true" : "/a\\\"b\",\"path_is_cut\":false";
    CHECK(body.find("{\"method\":\"GET\",\"path\":\"" + shown) != body.npos);
    CHECK(body.find("secret") == body.npos);
  }
  plane.source.current.ended(0);
  CHECK(plane.ask("GET /workers").body.find("\"request\":null") != std::string::npos);
}

TEST_CASE("backtraces are asked for, and may be missing") {
  running_control_plane plane;
  for (auto const& answer : {std::optional<std::string>("[1]"), std::optional<std::string>()}) {
    client asking = plane.connected();
    REQUIRE(asking.send("GET /workers?backtraces=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    plane.answer_as_ruby(answer, "backtraces");
    std::string const body = asking.read_response().body;
    CHECK(body.find(answer ? "\"threads\":[1],\"threads_missing\":null" : "\"threads\":null,\"threads_missing\":\"Ruby") != body.npos);
  }
}

TEST_CASE("what changes the server needs POST, a token on TCP, and no other site") {
  running_control_plane open;
  CHECK(open.ask("GET /stop").status == 405);
  CHECK(open.ask("POST /stop", host("localhost") + "Content-Length: 0\r\n").status == 403);
  running_control_plane plane(secret);
  CHECK(plane.ask("GET /stop", bearer(secret)).status == 405);
  CHECK(plane.ask("POST /stop", host("localhost") + "Content-Length: 0\r\n").status == 401);
  CHECK(plane.ask("POST /stop", bearer(secret) + "Origin: http://attacker.example\r\nContent-Length: 0\r\n").status == 403);
  struct { std::optional<std::string> answer; int status; } const outcomes[] = {{"done", 200}, {"cannot do it", 422}, {std::nullopt, 202}};
  for (auto const& [answer, status] : outcomes) {
    client asking = plane.connected();
    REQUIRE(asking.send("POST /log-level?debug HTTP/1.1\r\n" + bearer(secret) + "Content-Length: 0\r\n\r\n"));
    plane.answer_as_ruby(answer, "log-level", "debug");
    CHECK(asking.read_response().status == status);
  }
}
