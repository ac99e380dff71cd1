// SPDX-License-Identifier: MIT

#include "websocket/websocket_reader.hpp"

#include "../support/stress.hpp"
#include "../support/websocket_frames.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace server = kino::server;
using namespace websocket_test;

namespace {

constexpr std::size_t longest = 100'000;

// Writes down what the frames say, each with a letter.
class record final : public server::websocket_reader::sink {
public:
  std::string seen;
  bool fails = false;

  void on_message(server::websocket_message const& one) override {
    if (fails) throw std::runtime_error("no");
    seen.append(one.compressed ? "z" : "").append(one.text ? "t" : "b").append(one.data).append(";");
  }
  void on_ping(std::string_view data) override { seen.append("p").append(data).append(";"); }
  void on_close(std::uint16_t status) override { seen.append("c").append(std::to_string(status)).append(";"); }
  void on_violation(std::uint16_t status) override { seen.append("!").append(std::to_string(status)).append(";"); }
};

// What a reader makes of these bytes, which come `step` at a time.
std::string read(std::string_view bytes, std::size_t step, bool compression = false) {
  record found;
  server::websocket_reader reader(found, longest, compression);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) reader.receive(bytes.substr(0, step));
  return found.seen;
}

// ... in whatever pieces.
std::string read_pieces(std::string const& bytes, bool compression) {
  std::string const whole = read(bytes, bytes.size() + 1, compression);
  for (std::size_t const step : {1, 2, 3, 7, 4096}) {
    CAPTURE(step);
    CHECK(read(bytes, step, compression) == whole);
  }
  return whole;
}
std::string read(std::string const& bytes) { return read_pieces(bytes, false); }

}  // namespace

TEST_CASE("messages of every length") {
  for (std::size_t const length : {0, 1, 125, 126, 127, 4095, 4096, 65535, 65536, 100'000}) {
    CAPTURE(length);
    std::string const data(length, 'x');
    CHECK(read(frame(text, data)) == "t" + data + ";");
    CHECK(read(frame(binary, data) + frame(text, "next")) == "b" + data + ";tnext;");
  }
}

TEST_CASE("fragments are one message, whatever comes in between") {
  CHECK(read(frame(text, "a", {.last = false}) + frame(ping, "1") + frame(continuation, "b", {.last = false}) + frame(pong, "2") +
             frame(continuation, "", {.last = false}) + frame(continuation, "c")) == "p1;tabc;");
  CHECK(read(frame(binary, "", {.last = false}) + frame(continuation, "")) == "b;");
}

TEST_CASE("a character may be cut by a fragment, but not by the end") {
  CHECK(read(frame(text, "\xe2\x82", {.last = false}) + frame(continuation, "\xac")) == "t\xe2\x82\xac;");
  CHECK(read(frame(text, "\xe2\x82")) == "!1007;");
  CHECK(read(frame(text, "\xe2\x82", {.last = false}) + frame(continuation, "\x41")) == "!1007;");
  CHECK(read(frame(text, "\xc0\xaf")) == "!1007;");          // overlong
  CHECK(read(frame(text, "\xed\xa0\x80")) == "!1007;");      // a surrogate
  CHECK(read(frame(text, "\xf4\x90\x80\x80")) == "!1007;");  // beyond Unicode
  CHECK(read(frame(binary, "\xc0\xaf")) == "b\xc0\xaf;");
}

TEST_CASE("frames that break a rule") {
  CHECK(read(frame(text, "a", {.masked = false})) == "!1002;");
  CHECK(read(frame(ping, "", {.masked = false})) == "!1002;");
  for (unsigned reserved = 1; reserved != 8; ++reserved) CHECK(read(frame(text, "a", {.reserved = reserved})) == "!1002;");
  for (int const opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    CAPTURE(opcode);
    CHECK(read(frame(opcode, "a")) == "!1002;");
  }
  CHECK(read(frame(continuation, "a")) == "!1002;");
  CHECK(read(frame(text, "a", {.last = false}) + frame(text, "b")) == "!1002;");
  CHECK(read(frame(text, "a") + frame(continuation, "b")) == "ta;!1002;");
  for (int const opcode : {closing, ping, pong}) {
    CAPTURE(opcode);
    CHECK(read(frame(opcode, "", {.last = false})) == "!1002;");
    CHECK(read(frame(opcode, std::string(126, 'x'))) == "!1002;");
  }
  CHECK(read(frame(ping, std::string(125, 'x'))) == "p" + std::string(125, 'x') + ";");
  CHECK(read(frame(text, "a", {.width = 2})) == "!1002;");
  CHECK(read(frame(text, "a", {.width = 8})) == "!1002;");
}

TEST_CASE("with compression, the first frame of a message may say that it is compressed") {
  auto const read_both = [](std::string const& bytes) { return read_pieces(bytes, true); };
  CHECK(read_both(frame(text, "\xff", {.reserved = 4}) + frame(text, "a")) == "zt\xff;ta;");
  CHECK(read_both(frame(binary, "a", {.last = false, .reserved = 4}) + frame(ping) + frame(continuation, "b") + frame(binary, "c")) ==
        "p;zbab;bc;");
  CHECK(read_both(frame(text, "a", {.last = false}) + frame(continuation, "b", {.reserved = 4})) == "!1002;");
  CHECK(read_both(frame(text, "a", {.last = false}) + frame(continuation, "\xff")) == "!1007;");
  for (int const opcode : {closing, ping, pong}) CHECK(read_both(frame(opcode, "", {.reserved = 4})) == "!1002;");
  for (unsigned const reserved : {1U, 2U, 3U, 5U, 6U, 7U}) CHECK(read_both(frame(text, "a", {.reserved = reserved})) == "!1002;");
  CHECK(read_both(frame(text, std::string(longest + 1, 'x'))) == "!1009;");
  CHECK(read_both(frame(text, std::string(longest + 1, 'x'), {.reserved = 4})) == "zt" + std::string(longest + 1, 'x') + ";");
  CHECK(read_both(frame(text, "a", {.reserved = 4, .length = 2 * longest})) == "!1009;");
  // A reader takes the session of another, which had no compression.
  CHECK(read(frame(text, "a", {.reserved = 4})) == "!1002;");
}

TEST_CASE("frames with lengths that no message can have are refused") {
  CHECK(read(frame(text, "a", {.length = longest + 1})) == "!1009;");
  CHECK(read(frame(binary, "a", {.length = 0x7fff'ffff'ffff'ffff})) == "!1009;");
  CHECK(read(frame(binary, "a", {.length = 0xffff'ffff'ffff'ffff})) == "!1002;");
  std::string const half(longest / 2 + 1, 'x');
  CHECK(read(frame(text, half, {.last = false}) + frame(continuation, half)) == "!1009;");
  CHECK(read(frame(text, half, {.last = false}) + frame(continuation, "a", {.length = 0x7fff'ffff'ffff'ffff})) == "!1009;");
}

TEST_CASE("close frames") {
  CHECK(read(frame(closing)) == "c1005;");
  CHECK(read(close_frame(1000, "bye") + frame(text, "never read")) == "c1000;");
  for (unsigned const status : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999}) {
    CAPTURE(status);
    CHECK(read(close_frame(status)) == "c" + std::to_string(status) + ";");
  }
  for (unsigned const status : {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535}) {
    CAPTURE(status);
    CHECK(read(close_frame(status)) == "!1002;");
  }
  CHECK(read(frame(closing, "\x03")) == "!1002;");
  // wslay checks the text of a close frame only if that comes in one piece.
  CHECK(read(close_frame(1000, "\xff"), 1000) == "!1007;");
}

TEST_CASE("a reader has memory only for what is incomplete") {
  record found;
  server::websocket_reader one(found, longest, false);
  server::websocket_reader other(found, longest, false);
  std::string const message = frame(text, "message");
  for (std::size_t cut = 1; cut != message.size(); ++cut) {
    CAPTURE(cut);
    one.receive(std::string_view(message).substr(0, cut));
    CHECK(one.incomplete());
    other.receive(message);
    CHECK(!other.incomplete());
    one.receive(std::string_view(message).substr(cut));
    CHECK(!one.incomplete());
  }
  one.receive(frame(binary, "a", {.last = false}) + frame(ping));
  CHECK(one.incomplete());
  one.receive(frame(continuation, "b"));
  CHECK(!one.incomplete());
  one.receive(frame(closing));
  CHECK(!one.incomplete());
}

TEST_CASE("what the sink throws ends the reader") {
  record found;
  server::websocket_reader reader(found, longest, false);
  found.fails = true;
  CHECK_THROWS_AS(reader.receive(frame(text, "a") + frame(text, "b")), std::runtime_error);
  found.fails = false;
  reader.receive(frame(text, "c"));
  CHECK(found.seen.empty());
}

TEST_CASE("a million pings in one fragmented message leave nothing behind") {
  record found;
  server::websocket_reader reader(found, longest, false);
  reader.receive(frame(text, "a", {.last = false}));
  std::string flood;
  for (int i = 0; i != 1000; ++i) flood += frame(ping, std::string(125, 'x'));
  for (int i = 0; i != 100; ++i) {
    reader.receive(flood);
    CHECK(found.seen.size() == 1000 * 127);
    found.seen.clear();
  }
  reader.receive(frame(continuation, "b"));
  CHECK(found.seen == "tab;");
}

TEST_CASE("random bytes and random frames are read alike in any pieces") {
  for (std::uint32_t seed = 1; seed <= 3000; ++seed) {
    CAPTURE(seed);
    stress::dice chance(seed);
    std::string bytes;
    bool open = false;
    for (std::size_t i = 0, count = 1 + chance.below(12); i != count; ++i) {
      form how;
      how.last = !chance.once_in(3);
      how.masked = !chance.once_in(100);
      how.mask = {static_cast<unsigned char>(chance.below(256)), 0, static_cast<unsigned char>(chance.below(256)), 1};
      if (chance.once_in(60)) how.reserved = chance.below(8);
      if (chance.once_in(60)) how.length = chance.below(70'000);
      int opcode = open ? continuation : chance.once_in(2) ? text : binary;
      if (chance.once_in(4)) opcode = chance.once_in(2) ? ping : pong;
      if (chance.once_in(40)) opcode = static_cast<int>(chance.below(16));
      std::string payload;
      for (std::size_t j = 0, size = chance.below(3) == 0 ? chance.below(300) : chance.below(8); j != size; ++j) {
        payload += static_cast<char>(opcode != closing && chance.once_in(50) ? chance.below(256) : 'a' + chance.below(26));
      }
      bool const control = opcode >= 8;
      if (control) how.last = !chance.once_in(50);
      if (!control) open = !how.last;
      bytes += frame(opcode, payload, how);
      if (chance.once_in(40)) bytes[chance.below(static_cast<std::uint32_t>(bytes.size()))] ^= static_cast<char>(1 + chance.below(255));
    }
    static_cast<void>(read(bytes));
  }
}
