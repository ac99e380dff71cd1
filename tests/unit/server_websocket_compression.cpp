// SPDX-License-Identifier: MIT
//
// permessage-deflate: which offers are accepted, what messages become, and what a client must not send.

#include "websocket/compression.hpp"

#include "../support/captured_log.hpp"
#include "../support/deflate.hpp"
#include "../support/stress.hpp"
#include "../support/websocket_talk.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

using namespace websocket_test;
using server::dialect;
using server::opcode;

namespace {

constexpr std::string_view usual = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
constexpr std::string_view narrow = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                                    "server_max_window_bits=9";

// The answer to these offers; empty: none is accepted.
std::string_view answer(std::string_view offers) {
  auto const terms = server::accept_compression(offers);
  if (!terms) return {};
  CHECK(terms->speaks == (terms->field == narrow ? dialect::deflated_narrow : dialect::deflated));
  return terms->field;
}

constexpr unsigned compressed = 4;  // the first reserved bit

talk_setup compressing(std::size_t longest = 1'000'000) {
  talk_setup chosen;
  chosen.settings.speaks = dialect::deflated;
  chosen.settings.max_message_size = longest;
  return chosen;
}

// Text in which some is repeated, near and far.
std::string random_text(stress::dice& chance, std::size_t size) {
  std::string made;
  while (made.size() < size) {
    if (made.size() > 10 && chance.once_in(2)) {
      std::size_t const from = chance.below(static_cast<std::uint32_t>(made.size()));
      made.append(made.substr(from, 3 + chance.below(300)));
    } else {
      for (std::uint32_t i = 0, count = chance.below(200); i != count; ++i) made += static_cast<char>('a' + chance.below(26));
    }
  }
  made.resize(size);
  return made;
}

// The message in a frame of the server.
std::string message_in(server::shared_frame const& encoded, int window_bits) {
  std::string bytes = *encoded;
  auto const one = take_frame(bytes, true);
  REQUIRE(one);
  REQUIRE(one->opcode == text);
  REQUIRE(bytes.empty());
  return one->compressed ? inflated(one->payload, window_bits) : one->payload;
}

}  // namespace

TEST_CASE("offers are accepted, whatever they say of contexts and of the client's window") {
  for (std::string_view const offer :
       {"permessage-deflate", "permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=8",
        "permessage-deflate ;client_max_window_bits=\"15\" ; server_no_context_takeover;client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=\"15\"", "  permessage-deflate  ",
        ", ,permessage-deflate,"}) {
    CAPTURE(offer);
    CHECK(answer(offer) == usual);
  }
}

TEST_CASE("a client with a smaller window gets messages that need the smallest") {
  for (int bits = 9; bits != 15; ++bits) {
    CAPTURE(bits);
    CHECK(answer("permessage-deflate; server_max_window_bits=" + std::to_string(bits)) == narrow);
  }
}

TEST_CASE("offers with parameters that are unknown, invalid, repeated or cannot be met are declined") {
  for (std::string_view const parameters :
       {"x", "x=1", "client_max_window_bits=7", "client_max_window_bits=16", "client_max_window_bits=010", "client_max_window_bits=1",
        "client_max_window_bits=+9", "client_max_window_bits=99999999999999999999", "server_max_window_bits", "server_max_window_bits=7",
        "server_max_window_bits=8", "server_max_window_bits=16", "server_no_context_takeover=1", "client_no_context_takeover=true",
        "client_max_window_bits; client_max_window_bits", "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover", "server_max_window_bits=10; server_max_window_bits=10",
        "SERVER_NO_CONTEXT_TAKEOVER"}) {
    CAPTURE(parameters);
    std::string const offer = "permessage-deflate; " + std::string(parameters);
    CHECK(answer(offer).empty());
    // The next one counts.
    CHECK(answer(offer + ", permessage-deflate; server_max_window_bits=10") == narrow);
    CHECK(answer("permessage-deflate, " + offer) == usual);
  }
}

TEST_CASE("other extensions are passed over, and what cannot be parsed ends the list") {
  CHECK(answer("x-webkit-deflate-frame; no_context_takeover, permessage-bzip2; a=\"b\"; c, permessage-deflate") == usual);
  CHECK(answer("").empty());
  CHECK(answer("permessage-bzip2").empty());
  CHECK(answer("permessage-deflatex").empty());
  for (std::string_view const broken : {"=, permessage-deflate", "a b, permessage-deflate", "a;, permessage-deflate", "a;b=, permessage-deflate",
                                        "a;b=\"c, permessage-deflate", "a;b=\"c d\", permessage-deflate", "a;b=\"\", permessage-deflate",
                                        "permessage-deflate; server_max_window_bits=", "permessage-deflate x", "\"permessage-deflate\""}) {
    CAPTURE(broken);
    CHECK(answer(broken).empty());
  }
}

TEST_CASE("any bytes in the place of an offer are read without an error") {
  std::string_view const parts[] = {"permessage-deflate", ";", ",", "=", " ", "\"", "\t", "server_max_window_bits", "client_max_window_bits",
                                    "9", "15", "8", "server_no_context_takeover", "x", "\\", "\xff"};
  stress::dice chance(7);
  for (int i = 0; i != 20'000; ++i) {
    std::string offers;
    for (std::uint32_t j = 0, count = chance.below(12); j != count; ++j) offers += parts[chance.below(std::size(parts))];
    CAPTURE(offers);
    std::string_view const field = answer(offers);
    CHECK((field.empty() || field == usual || field == narrow));
    if (!field.empty()) CHECK(offers.find("permessage-deflate") != offers.npos);
  }
}

TEST_CASE("what is compressed is what the client reads") {
  stress::dice chance(11);
  for (std::size_t const size : {std::size_t{0}, server::least_compressed - 1, server::least_compressed, std::size_t{5000}, std::size_t{300'000}}) {
    CAPTURE(size);
    std::string const message = random_text(chance, size);
    auto const wide = server::encode_message(opcode::text, message, dialect::deflated);
    CHECK(message_in(wide, 15) == message);
    CHECK(wide->size() <= message.size() + 10);
    if (size < server::least_compressed) CHECK(*wide == *server::encode_frame(opcode::text, message));
    if (size >= 5000) CHECK(wide->size() < message.size());
    // Its window is of 512 bytes.
    CHECK(message_in(server::encode_message(opcode::text, message, dialect::deflated_narrow), 9) == message);
    CHECK(*server::encode_message(opcode::text, message, dialect::frames) == *server::encode_frame(opcode::text, message));
  }
}

TEST_CASE("what does not become smaller is sent as it is") {
  stress::dice chance(13);
  std::string noise;
  for (int i = 0; i != 100'000; ++i) noise += static_cast<char>(chance.below(256));
  CHECK(*server::encode_message(opcode::binary, noise, dialect::deflated) == *server::encode_frame(opcode::binary, noise));
}

TEST_CASE("what a client has compressed is decompressed, and no more than may be") {
  stress::dice chance(17);
  for (int i = 0; i != 300; ++i) {
    std::string const message = random_text(chance, chance.below(100'000));
    for (int const level : {0, 1, 9}) {
      std::string const sent = deflated(message, level);
      CHECK(sent.size() <= server::most_compressed(message.size()));
      std::string got = "something";
      CHECK(server::decompress_message(sent, message.size(), got) == 0);
      CHECK(got == message);
      if (message.empty()) continue;
      CHECK(server::decompress_message(sent, message.size() - 1, got) == server::close_code::message_too_big);
      CHECK(got.size() < message.size());
    }
  }
}

TEST_CASE("a message may consist of several streams, and be empty in several ways") {
  std::string got;
  // RFC 7692, 7.2.3: with the last bit set, then a block to be cut.
  CHECK(server::decompress_message(std::string_view("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8), 100, got) == 0);
  CHECK(got == "Hello");
  CHECK(server::decompress_message(std::string_view("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13), 100, got) == 0);
  CHECK(got == "Hello");
  CHECK(server::decompress_message(std::string_view("\0", 1), 0, got) == 0);
  CHECK(got.empty());
  CHECK(server::decompress_message("", 0, got) == 0);
  CHECK(got.empty());
}

TEST_CASE("what is cut off or is no compressed data is refused") {
  std::string const whole = deflated("a message that is long enough to be cut anywhere, again and again: " + std::string(500, 'x'));
  std::string got;
  CHECK(server::decompress_message(whole.substr(0, whole.size() / 2), 1000, got) == server::close_code::invalid_data);
  CHECK(server::decompress_message("\xff\xff\xff\xff", 1000, got) == server::close_code::invalid_data);
  CHECK(server::decompress_message("plain text", 1000, got) == server::close_code::invalid_data);
  // A distance beyond the beginning: the context of another message.
  CHECK(server::decompress_message("\x02\x13\x00\x00", 1000, got) == server::close_code::invalid_data);
}

TEST_CASE("any bytes are decompressed to the limit at most") {
  stress::dice chance(19);
  for (int i = 0; i != 20'000; ++i) {
    std::string bytes = deflated(random_text(chance, chance.below(400)));
    for (std::uint32_t j = 0, count = chance.below(4); j != count && !bytes.empty(); ++j) {
      bytes[chance.below(static_cast<std::uint32_t>(bytes.size()))] = static_cast<char>(chance.below(256));
    }
    std::string got;
    std::size_t const longest = chance.below(500);
    std::uint16_t const refused = server::decompress_message(bytes, longest, got);
    CHECK(got.size() <= longest);
    CHECK((refused == 0 || refused == server::close_code::invalid_data || refused == server::close_code::message_too_big));
  }
}

TEST_CASE("a client and the application compress") {
  talk here(compressing());
  std::string const long_text = std::string(20'000, 'x') + "\xe2\x82\xac";
  here.send(frame(text, deflated("short"), {.reserved = compressed}) + frame(text, "plain"));
  CHECK(here.events() == "omshort;mplain;");
  here.send(frame(binary, deflated(long_text), {.reserved = compressed}));
  auto event = here.next_event();
  CHECK(!event.text);
  CHECK(event.data == long_text);

  CHECK(here.socket->write(opcode::text, long_text));
  auto got = here.next_frame();
  CHECK(got.opcode == text);
  CHECK(got.compressed);
  CHECK(got.payload.size() < 1000);
  CHECK(inflated(got.payload) == long_text);
  CHECK(here.socket->write(opcode::text, "short"));
  got = here.next_frame();
  CHECK(!got.compressed);
  CHECK(got.payload == "short");
}

TEST_CASE("only the first frame of a message says that it is compressed") {
  std::string const sent = deflated("in three parts");
  talk here(compressing());
  here.send(frame(text, sent.substr(0, 2), {.last = false, .reserved = compressed}) + frame(ping, "p") +
            frame(continuation, sent.substr(2, 3), {.last = false}) + frame(continuation, sent.substr(5)));
  CHECK(here.events() == "omin three parts;");
  CHECK(here.next_frame().opcode == pong);

  captured_log log;
  for (std::string const& wrong :
       {frame(text, "", {.last = false}) + frame(continuation, sent, {.reserved = compressed}), frame(ping, "", {.reserved = compressed}),
        frame(pong, "", {.reserved = compressed}), frame(closing, "", {.reserved = compressed}), frame(text, "", {.reserved = 2}),
        frame(text, sent, {.reserved = compressed | 1})}) {
    talk other(compressing());
    other.send(wrong);
    CHECK(other.next_frame().status() == 1002);
    CHECK(other.sees_end());
  }
  talk without_compression;
  without_compression.send(frame(text, sent, {.reserved = compressed}));
  CHECK(without_compression.next_frame().status() == 1002);
}

TEST_CASE("a bomb ends the connection with 1009 while it is decompressed, and nothing after it is handled") {
  captured_log log;
  talk here(compressing(100'000));
  std::string const bomb = deflated(std::string(50'000'000, '\0'), 9);
  REQUIRE(bomb.size() < 60'000);
  CHECK(here.events() == "o");
  here.send(frame(text, "before") + frame(binary, bomb, {.reserved = compressed}) + frame(text, "after"));
  CHECK(here.events() == "mbefore;c");
  CHECK(here.next_frame().status() == 1009);
  CHECK(here.sees_end());
  CHECK(log.text().find("longer than max_websocket_message_size") != std::string::npos);
}

TEST_CASE("nothing after a bomb is handled, even if the client has broken another rule before it was found") {
  captured_log log;
  talk here(compressing(1000));
  here.send(frame(binary, deflated(std::string(2000, 'x')), {.reserved = compressed}) + frame(text, "after") + frame(text, "", {.masked = false}));
  CHECK(here.events() == "oc");
  CHECK(here.next_frame().status() == 1002);
}

TEST_CASE("many bombs wait as what was sent") {
  talk_setup chosen = compressing(1'000'000);
  chosen.settings.most_unhandled = 10'000;
  talk here(chosen);
  std::string const message = frame(binary, deflated(std::string(1'000'000, '\0'), 9), {.reserved = compressed});
  REQUIRE(message.size() < 1100);
  std::string all;
  for (int i = 0; i != 100; ++i) all += message;
  // The network takes it, and the server reads what fits.
  std::size_t taken = 0;
  for (int i = 0; i != 100; ++i) {
    taken += here.link->send(std::string_view(all).substr(taken));
    here.settle();
  }
  CHECK(here.next_event().what == server::websocket_event::kind::open);
  auto const event = here.next_event();
  CHECK(event.data.size() == 1'000'000);
  CHECK(here.socket->open());
}

TEST_CASE("compressed text that is not UTF-8, and what cannot be decompressed, end the connection with 1007") {
  captured_log log;
  for (std::string const& wrong : {deflated("\xc0\xaf"), deflated("\xe2\x82"), std::string("\xff\xff\xff")}) {
    talk here(compressing());
    CHECK(here.events() == "o");
    here.send(frame(text, wrong, {.reserved = compressed}) + frame(text, "after"));
    CHECK(here.events() == "c");
    CHECK(here.next_frame().status() == 1007);
    CHECK(here.sees_end());
  }
  talk here(compressing());
  here.send(frame(binary, deflated("\xc0\xaf"), {.reserved = compressed}));
  CHECK(here.events() == "om\xc0\xaf;");
}

TEST_CASE("a message of the longest size may have grown by being compressed") {
  captured_log log;
  stress::dice chance(23);
  std::string noise;
  for (int i = 0; i != 50'000; ++i) noise += static_cast<char>(chance.below(256));
  std::string const sent = deflated(noise, 9);
  REQUIRE(sent.size() > noise.size());
  talk here(compressing(noise.size()));
  here.send(frame(binary, sent, {.reserved = compressed}));
  CHECK(here.events() == "om" + noise + ";");
  here.send(frame(binary, noise + "x"));
  CHECK(here.next_frame().status() == 1009);
}

TEST_CASE("a compressed message that comes after the application has closed is not handled") {
  talk here(compressing());
  CHECK(here.events() == "o");
  here.send(frame(binary, deflated("waits"), {.reserved = compressed}));
  here.socket->close(server::close_code::normal);
  here.send(frame(binary, deflated(std::string(2'000'000, 'x')), {.reserved = compressed}) + close_frame(1000));
  CHECK(here.next_frame().status() == 1000);
  CHECK(here.events() == "c");
}
