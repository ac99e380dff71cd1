// SPDX-License-Identifier: MIT
//
// Responses encoded as HTTP/1: every kind, checked by a separate parser against the rules of RFC 9112.

#include "http1/response_encoder.hpp"

#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

using namespace std::string_literals;
using namespace std::string_view_literals;
namespace server = kino::server;
using server::exchange;
using server::response_encoder;
using server::response_head;
using server::response_part;
using problem = response_head::problem;

namespace {

// The request: method, version, and whether the client keeps the connection.
void ask(server::request& into, std::string_view method, unsigned minor_version, bool keep_alive) {
  into.clear();
  into.append_text(method);
  into.set_method(into.text());
  into.version = minor_version == 0 ? server::http_version::http_1_0 : server::http_version::http_1_1;
  into.keep_alive = keep_alive;
}

// The encoder of one connection, and all bytes that it has written.
class connection {
public:
  explicit connection(server::request const& asked) : asked_(asked) {}

  // False if the encoder refuses the part.
  bool send(response_part const& part, bool may_keep = true) {
    response_encoder encoder(asked_, state);
    if (part.head && encoder.begin(part) && may_keep) encoder.keep_alive();
    auto const bytes = encoder.encode(part);
    if (!bytes) return false;
    sent += bytes->before;
    for (iovec const& one : bytes->pieces) sent.append(static_cast<char const*>(one.iov_base), one.iov_len);
    sent += bytes->after;
    CHECK(bytes->last == part.end);
    CHECK(bytes->gather == part.gather);
    if (bytes->last) ended = !bytes->keep_alive;
    return true;
  }

  std::string sent;
  bool ended = false;  // after the last response
  response_encoder::state state;

private:
  server::request const& asked_;
};

// A response as a client reads it.
struct message {
  std::string status_line;
  int status = 0;
  std::multimap<std::string, std::string> fields;  // names in lower case
  std::string body;
  std::vector<std::pair<std::string, std::string>> trailers;
  bool until_close = false;  // the end of the connection is the end of the body
  bool sound = false;        // it is complete and valid

  std::string operator[](std::string const& name) const {
    auto const found = fields.find(name);
    return fields.count(name) > 1 ? "(twice)" : found == fields.end() ? "(none)" : found->second;
  }
};

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

bool take_line(std::string_view& from, std::string& line) {
  std::size_t const end = from.find("\r\n");
  if (end == from.npos) return false;
  line = from.substr(0, end);
  from.remove_prefix(end + 2);
  return true;
}

using fields = std::vector<std::pair<std::string, std::string>>;

bool take_chunks(std::string_view& from, std::string& body, fields& trailers) {
  for (std::string line; take_line(from, line);) {
    if (line.empty() || line.find_first_not_of("0123456789abcdef") != line.npos) return false;
    std::size_t const size = std::strtoull(line.c_str(), nullptr, 16);
    if (size == 0) {
      while (take_line(from, line) && !line.empty()) {
        std::size_t const colon = line.find(": ");
        if (colon == line.npos) return false;
        trailers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
      }
      return line.empty();
    }
    if (from.size() < size + 2 || from.substr(size, 2) != "\r\n") return false;
    body += from.substr(0, size);
    from.remove_prefix(size + 2);
  }
  return false;
}

// Removes one response from the front of `from`, by the rules of RFC 9112, 6.3.
message take_message(std::string_view& from, bool head_only) {
  message got;
  if (!take_line(from, got.status_line) || !got.status_line.starts_with("HTTP/1.1 ")) return got;
  got.status = std::atoi(got.status_line.c_str() + 9);
  std::string line;
  while (take_line(from, line) && !line.empty()) {
    std::size_t const colon = line.find(": ");
    if (colon == line.npos) return got;
    got.fields.emplace(lower(line.substr(0, colon)), line.substr(colon + 2));
  }
  if (!line.empty()) return got;
  if (head_only || got.status == 204 || got.status == 304) {
    got.sound = true;
  } else if (got.fields.contains("transfer-encoding")) {
    got.sound = got["transfer-encoding"] == "chunked" && !got.fields.contains("content-length") &&
                take_chunks(from, got.body, got.trailers);
  } else if (got.fields.contains("content-length")) {
    std::size_t const length = std::strtoull(got["content-length"].c_str(), nullptr, 10);
    if (from.size() < length) return got;
    got.body = from.substr(0, length);
    from.remove_prefix(length);
    got.sound = true;
  } else {
    got.body = std::exchange(from, {});
    got.sound = got.until_close = true;
  }
  return got;
}

// Every digit a 0, every letter an A or a.
std::string shape_of(std::string text) {
  for (char& c : text) {
    if (c >= '0' && c <= '9') c = '0';
    if (c >= 'A' && c <= 'Z') c = 'A';
    if (c >= 'a' && c <= 'z') c = 'a';
  }
  return text;
}

// The ways in which a handler gives a body and its length.
enum class manner { at_once, at_once_announced, in_parts, in_parts_announced };

bool announces(manner how) { return how == manner::at_once_announced || how == manner::in_parts_announced; }

bool give(connection& to, response_head& head, std::string_view body, manner how, stress::dice& chance) {
  if (announces(how) && head.add("Content-Length", std::to_string(body.size())) != problem::none) return false;
  bool const at_once = how == manner::at_once || how == manner::at_once_announced;
  response_part part{.head = &head};
  do {
    std::vector<iovec> pieces;
    std::size_t const most = at_once ? body.size() : chance.below(static_cast<std::uint32_t>(body.size() + 1));
    for (std::size_t left = most; left != 0;) {
      std::size_t const next = 1 + chance.below(static_cast<std::uint32_t>(left));
      pieces.push_back(server::piece(body.substr(0, next)));
      body.remove_prefix(next);
      left -= next;
    }
    part.data = pieces;
    part.gather = chance.once_in(2);
    part.end = at_once || (!part.head && body.empty() && chance.once_in(2));
    if (!to.send(part)) return false;
    part.head = nullptr;
  } while (!part.end);
  return true;
}

}  // namespace

TEST_CASE("RFC 9112 is followed for every combination of status, method, version, length and keep-alive") {
  stress::dice chance(1);
  server::request asked;
  for (int status : {200, 201, 204, 205, 206, 299, 304, 400, 404, 426, 500, 503, 599, 999}) {
    for (bool head_only : {false, true}) {
      for (unsigned minor_version : {0u, 1u}) {
        for (bool client_keeps : {false, true}) {
          for (bool handler_closes : {false, true}) {
            for (manner how : {manner::at_once, manner::at_once_announced, manner::in_parts, manner::in_parts_announced}) {
              for (std::string_view body : {""sv, "some body"sv}) {
                CAPTURE(status);
                CAPTURE(head_only);
                CAPTURE(minor_version);
                CAPTURE(client_keeps);
                CAPTURE(handler_closes);
                CAPTURE(static_cast<int>(how));
                CAPTURE(body);
                ask(asked, head_only ? "HEAD" : "GET", minor_version, client_keeps);
                connection to(asked);
                response_head head;
                REQUIRE(head.start(status) == problem::none);
                if (handler_closes) REQUIRE(head.add("Connection", "close") == problem::none);
                REQUIRE(give(to, head, body, how, chance));

                std::string_view rest = to.sent;
                message const got = take_message(rest, head_only);
                REQUIRE(got.sound);
                CHECK(rest.empty());
                CHECK(got.status == status);
                bool const bodiless = status == 204 || status == 205 || status == 304;
                CHECK(got.body == (head_only || bodiless ? ""sv : body));

                std::string const length = std::to_string(body.size());
                bool const at_once = how == manner::at_once || how == manner::at_once_announced;
                bool const chunked = !head_only && !bodiless && how == manner::in_parts && minor_version == 1;
                CHECK(got["transfer-encoding"] == (chunked ? "chunked" : "(none)"));
                std::string wanted_length = "(none)";
                if (status == 205) {
                  wanted_length = "0";
                } else if (status == 304 || (head_only && status != 204)) {
                  // The length that the body would have, if the handler gave it or a complete body.
                  bool const made = status != 304 && at_once && !body.empty();
                  if (announces(how) || made) wanted_length = length;
                } else if (status != 204 && how != manner::in_parts) {
                  wanted_length = length;
                }
                CHECK(got["content-length"] == wanted_length);
                bool const until_close = !head_only && !bodiless && how == manner::in_parts && minor_version == 0;
                CHECK(got.until_close == until_close);
                bool const keeps = client_keeps && !handler_closes && !until_close;
                CHECK(to.ended == !keeps);
                CHECK(got["connection"] == (!keeps ? "close" : minor_version == 0 ? "keep-alive" : "(none)"));
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("random responses on one connection are decoded as they were given") {
  server::request asked;
  for (std::uint32_t seed = 1; seed <= stress::scaled(300); ++seed) {
    CAPTURE(seed);
    stress::dice chance(seed);
    struct wanted {
      int status;
      bool head_only;
      std::string body;
      std::vector<std::pair<std::string, std::string>> fields;
    };
    std::vector<wanted> all;
    std::string sent;
    bool ended = false;
    response_encoder::state state;  // an exchange and its memory serve one response after the other
    while (!ended && all.size() < 12) {
      wanted next{200 + static_cast<int>(chance.below(400)), chance.once_in(4), {}, {}};
      if (next.status == 205) continue;
      next.body.resize(chance.below(chance.once_in(5) ? 70'000 : 50));
      for (char& c : next.body) c = static_cast<char>(chance.below(256));
      ask(asked, next.head_only ? "HEAD" : "POST", chance.once_in(4) ? 0 : 1, !chance.once_in(12));
      connection to(asked);
      std::swap(to.state, state);
      to.state.begun = false;
      response_head head;
      REQUIRE(head.start(next.status) == problem::none);
      for (std::uint32_t left = chance.below(chance.once_in(10) ? 200 : 8); left != 0; --left) {
        next.fields.emplace_back("x-" + std::to_string(left), std::string(chance.below(100), 'v'));
        REQUIRE(head.add(next.fields.back().first, next.fields.back().second) == problem::none);
      }
      REQUIRE(give(to, head, next.body, static_cast<manner>(chance.below(4)), chance));
      if (next.head_only || next.status == 204 || next.status == 304) next.body.clear();
      sent += to.sent;
      ended = to.ended;
      std::swap(to.state, state);
      all.push_back(std::move(next));
    }
    std::string_view rest = sent;
    for (wanted const& each : all) {
      message const got = take_message(rest, each.head_only);
      REQUIRE(got.sound);
      REQUIRE(got.status == each.status);
      REQUIRE(got.body == each.body);
      for (auto const& [name, value] : each.fields) REQUIRE(got[name] == value);
      REQUIRE(got.fields.size() <= each.fields.size() + 4);
    }
    CHECK(rest.empty());
  }
}

TEST_CASE("trailers are sent only after a chunked body, and only if the client accepts them") {
  server::request asked;
  fields const given{{"grpc-status", "0"}, {"grpc-message", std::string(1000, 'm')}, {"x", ""}};
  server::response_trailers trailers;
  for (auto const& [name, value] : given) REQUIRE(trailers.add(name, value) == problem::none);
  server::response_trailers const none;
  server::response_trailers const* const all[] = {&trailers, &none};
  for (int status : {200, 204, 304}) {
    for (bool head_only : {false, true}) {
      for (unsigned minor_version : {0u, 1u}) {
        for (bool accepted : {false, true}) {
          for (bool announced : {false, true}) {
            for (bool length_known : {false, true}) {
              for (std::size_t parts : {1, 2, 3}) {
                for (server::response_trailers const* which : all) {
                  CAPTURE(status);
                  CAPTURE(head_only);
                  CAPTURE(minor_version);
                  CAPTURE(accepted);
                  CAPTURE(announced);
                  CAPTURE(length_known);
                  CAPTURE(parts);
                  ask(asked, head_only ? "HEAD" : "GET", minor_version, true);
                  asked.accepts_trailers = accepted;
                  connection to(asked);
                  response_head head;
                  REQUIRE(head.start(status) == problem::none);
                  if (announced) REQUIRE(head.add("Trailer", "grpc-status") == problem::none);
                  if (length_known) REQUIRE(head.set_length(4) == problem::none);
                  iovec const body = server::piece("body");
                  // All at once; the end in its own part; or head, body and end in a part each.
                  response_part part{.head = &head};
                  if (parts != 3) part.data = {&body, 1};
                  if (parts == 1) {
                    part.end = true;
                    part.trailers = which;
                  }
                  REQUIRE(to.send(part));
                  if (parts == 3) REQUIRE(to.send({.data = {&body, 1}}));
                  if (parts != 1) REQUIRE(to.send({.end = true, .trailers = which}));

                  std::string_view rest = to.sent;
                  message const got = take_message(rest, head_only);
                  REQUIRE(got.sound);
                  CHECK(rest.empty());
                  bool const bodiless = head_only || status != 200;
                  bool const asked_for = accepted && minor_version == 1;
                  bool const chunked = !bodiless && !length_known && minor_version == 1 &&
                                       (parts != 1 || (asked_for && which == &trailers));
                  CHECK(got.body == (bodiless ? "" : "body"));
                  CHECK(got["transfer-encoding"] == (chunked ? "chunked" : "(none)"));
                  CHECK(got["trailer"] == (announced && chunked && asked_for ? "grpc-status" : "(none)"));
                  CHECK(got.trailers == (chunked && asked_for && which == &trailers ? given : fields{}));
                }
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("a part that makes the body longer or shorter than announced is refused and not sent") {
  server::request asked;
  ask(asked, "GET", 1, true);
  response_head head;
  REQUIRE(head.start(200) == problem::none);
  REQUIRE(head.set_length(3) == problem::none);
  iovec const two = server::piece("ab");
  iovec const four = server::piece("abcd");
  {
    connection to(asked);
    CHECK(!to.send({&head, {&two, 1}, true}));
    CHECK(to.sent.empty());
  }
  {
    connection to(asked);
    CHECK(!to.send({&head, {&four, 1}, true}));
    CHECK(to.sent.empty());
  }
  connection to(asked);
  CHECK(to.send({&head, {&two, 1}}));
  std::string const before = to.sent;
  CHECK(before.ends_with("\r\n\r\nab"));
  CHECK(!to.send({.data = {&two, 1}}));
  CHECK(!to.send({.end = true}));
  CHECK(to.sent == before);
}

TEST_CASE("a first part without a head ends the connection and sends nothing") {
  server::request asked;
  ask(asked, "GET", 1, true);
  connection to(asked);
  iovec const some = server::piece("bytes");
  CHECK(to.send({.data = {&some, 1}, .end = true}));
  CHECK(to.sent.empty());
  CHECK(to.ended);
}

TEST_CASE("date and server are added unless the handler gives them") {
  server::request asked;
  ask(asked, "GET", 1, true);
  for (bool own : {false, true}) {
    connection to(asked);
    response_head head;
    REQUIRE(head.start(200) == problem::none);
    if (own) {
      REQUIRE(head.add("Date", "then") == problem::none);
      REQUIRE(head.add("SERVER", "mine") == problem::none);
    }
    REQUIRE(to.send({.head = &head, .end = true}));
    std::string_view rest = to.sent;
    message const got = take_message(rest, false);
    CHECK(got["server"] == (own ? "mine" : "kino"));
    CHECK((own ? got["date"] == "then" : shape_of(got["date"]) == "Aaa, 00 Aaa 0000 00:00:00 AAA"));
  }
}

TEST_CASE("an offered upgrade is listed in Connection") {
  server::request asked;
  for (auto const& [minor_version, keeps, wanted] :
       {std::tuple{1u, true, "upgrade"}, {1u, false, "close, upgrade"}, {0u, true, "keep-alive, upgrade"}}) {
    ask(asked, "GET", minor_version, keeps);
    connection to(asked);
    response_head head;
    REQUIRE(head.start(426) == problem::none);
    REQUIRE(head.add("Upgrade", "h2c") == problem::none);
    REQUIRE(to.send({.head = &head, .end = true}));
    std::string_view rest = to.sent;
    message const got = take_message(rest, false);
    CHECK(got["upgrade"] == "h2c");
    CHECK(got["connection"] == wanted);
  }
}

TEST_CASE("if the connection is not kept, the response contains Connection: close") {
  server::request asked;
  ask(asked, "GET", 1, true);
  connection to(asked);
  response_head head;
  REQUIRE(head.start(200) == problem::none);
  REQUIRE(to.send({.head = &head, .end = true}, false));
  CHECK(to.ended);
  std::string_view rest = to.sent;
  CHECK(take_message(rest, false)["connection"] == "close");
}

TEST_CASE("a brief response closes the connection and has no body for HEAD") {
  server::brief_response const brief(503);
  server::byte_buffer out;
  out.append("before");
  response_encoder::encode_brief(out, brief);
  out.consume(6);
  std::string_view rest = out.view();
  message const got = take_message(rest, false);
  REQUIRE(got.sound);
  CHECK(rest.empty());
  CHECK(got.status_line == "HTTP/1.1 503 Service Unavailable");
  CHECK(got["connection"] == "close");
  CHECK(got["retry-after"] == "1");
  CHECK(got.body == "Service Unavailable\n");
  server::request asked;
  ask(asked, "HEAD", 1, true);
  connection to(asked);
  REQUIRE(to.send(brief.whole()));
  CHECK(to.sent.ends_with("\r\n\r\n"));
  rest = to.sent;
  CHECK(take_message(rest, true)["content-length"] == "20");
}

TEST_CASE("an interim response is a status line without fields") {
  auto const encoded = [](int status, bool hints = false) {
    response_head head;
    REQUIRE(head.start_interim(status) == response_head::problem::none);
    if (hints) {
      REQUIRE(head.add("link", "</a.css>; rel=preload") == response_head::problem::none);
      REQUIRE(head.add("content-length", "5") == response_head::problem::none);
      REQUIRE(head.add("connection", "close") == response_head::problem::none);
    }
    server::byte_buffer bytes;
    server::response_encoder::encode_interim(bytes, head);
    return std::string(bytes.view());
  };
  CHECK(encoded(100) == "HTTP/1.1 100 Continue\r\n\r\n");
  CHECK(encoded(199) == "HTTP/1.1 199 \r\n\r\n");
  CHECK(encoded(103, true) == "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n");
  for (int status : {-1, 0, 99, 101, 200, 1000}) {
    response_head head;
    CHECK(head.start_interim(status) == response_head::problem::bad_status);
  }
}
