// SPDX-License-Identifier: MIT

#include "websocket/handshake.hpp"

#include "websocket/frame.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace server = kino::server;

namespace {

using fields = std::vector<std::pair<std::string, std::string>>;

fields const valid{{"Connection", "keep-alive, Upgrade"},
                   {"Upgrade", "WebSocket"},
                   {"Sec-WebSocket-Version", "13"},
                   {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}};

fields with(std::string_view name, std::string_view value) {
  fields changed = valid;
  for (auto& each : changed) {
    if (each.first == name) each.second = value;
  }
  return changed;
}

fields without(std::string_view name) {
  fields changed = valid;
  std::erase_if(changed, [&](auto const& each) { return each.first == name; });
  return changed;
}

server::request& fill(server::request& into, fields const& given, std::string_view method = "GET") {
  into.append_text(method);
  into.set_method(into.text());
  for (auto const& [name, value] : given) into.fields().add(name, value);
  into.asks_upgrade = true;
  REQUIRE(into.fields().finish().status == 0);
  return into;
}

int problem(fields const& given) {
  server::request asked;
  return server::handshake_problem(fill(asked, given));
}

bool asks(fields const& given, std::string_view method = "GET") {
  server::request asked;
  return server::asks_websocket(fill(asked, given, method));
}

}  // namespace

TEST_CASE("a GET that asks for an upgrade to websocket asks for a WebSocket") {
  CHECK(asks(valid));
  CHECK(asks(with("Upgrade", "h2c, websocket")));
  CHECK(!asks(with("Upgrade", "websockets")));
  CHECK(!asks(with("Upgrade", "h2c")));
  CHECK(!asks(valid, "POST"));
  server::request asked;
  fill(asked, valid).asks_upgrade = false;
  CHECK(!server::asks_websocket(asked));
}

TEST_CASE("only version 13 is spoken") {
  CHECK(problem(valid) == 0);
  CHECK(problem(with("Sec-WebSocket-Version", "8")) == 426);
  CHECK(problem(with("Sec-WebSocket-Version", "13, 8")) == 426);
  CHECK(problem(without("Sec-WebSocket-Version")) == 426);
}

TEST_CASE("the key is sixteen bytes in base64, once") {
  for (std::string_view const key : {"", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===", "dGhlIHNhbXBsZSBub25jZ!==",
                                     "dGhlIHNhbXBsZSBub25jZQAA", "dGhlIHNhbXBsZSBub25jZQ"}) {
    CAPTURE(key);
    CHECK(problem(with("Sec-WebSocket-Key", key)) == 400);
  }
  CHECK(problem(without("Sec-WebSocket-Key")) == 400);
  fields twice = valid;
  twice.push_back(twice.back());
  CHECK(problem(twice) == 400);
}

TEST_CASE("the key is accepted with the digest of it") {
  auto const text = [](server::accept_key const& key) { return std::string(key.data(), key.size()); };
  server::request asked;
  CHECK(text(server::accept_key_for(fill(asked, valid))) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");  // RFC 6455, 1.3
  CHECK(text(server::accept_key_for("x3JJHMbDL1EzLkh9GBhXDw==")) == "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
}

TEST_CASE("the head of a frame has the shortest form of the length") {
  auto const head = [](std::uint64_t length) { return std::string(server::frame_head(server::opcode::binary, length).bytes()); };
  using namespace std::string_literals;
  CHECK(head(0) == "\x82\0"s);
  CHECK(head(125) == "\x82\x7d");
  CHECK(head(126) == "\x82\x7e\0\x7e"s);
  CHECK(head(65535) == "\x82\x7e\xff\xff");
  CHECK(head(65536) == "\x82\x7f\0\0\0\0\0\1\0\0"s);
  CHECK(head(0x0102030405060708) == "\x82\x7f\1\2\3\4\5\6\7\x08"s);
  CHECK(*server::encode_close(1001) == "\x88\2\x03\xe9");
  CHECK(*server::encode_close(server::close_code::none) == "\x88\0"s);
  CHECK(*server::encode_frame(server::opcode::text, "hi") == "\x81\2hi");
}
