// SPDX-License-Identifier: MIT

#include "websocket/channel_hub.hpp"

#include "../support/captured_log.hpp"
#include "../support/stress.hpp"
#include "../support/websocket_talk.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

using namespace websocket_test;
using server::channel_hub;
using server::matches_pattern;
using server::opcode;
using match = server::channel_hub::match;

namespace {

// Sends, and returns how many took it.
std::size_t publish(channel_hub const& hub, std::string_view channel, std::string_view data) {
  return hub.publish(channel, opcode::text).send(data);
}

// By recursion, which is slow and evident.
bool slowly_matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '*') return slowly_matches(pattern.substr(1), name) || (!name.empty() && slowly_matches(pattern, name.substr(1)));
  if (name.empty()) return false;
  if (pattern[0] == '\\' && pattern.size() > 1) return pattern[1] == name[0] && slowly_matches(pattern.substr(2), name.substr(1));
  return (pattern[0] == '?' || pattern[0] == name[0]) && slowly_matches(pattern.substr(1), name.substr(1));
}

}  // namespace

TEST_CASE("subscribers get what is published to their channel") {
  channel_hub hub;
  std::deque<talk> clients(3);
  CHECK(hub.subscribe(clients[0].socket, "news", match::name));
  CHECK(hub.subscribe(clients[1].socket, "news", match::name));
  CHECK(hub.subscribe(clients[1].socket, "news", match::name));  // once is enough
  CHECK(hub.subscribe(clients[2].socket, "other", match::name));
  CHECK(publish(hub, "news", "hello") == 2);
  CHECK(publish(hub, "unknown", "nobody") == 0);
  CHECK(clients[0].next_frame().payload == "hello");
  CHECK(clients[1].next_frame().payload == "hello");
  CHECK(clients[1].next_frame().opcode == -1);
  CHECK(clients[2].next_frame().opcode == -1);
  CHECK(hub.unsubscribe(*clients[0].socket, "news", match::name));
  CHECK(!hub.unsubscribe(*clients[0].socket, "news", match::name));
  CHECK(!hub.unsubscribe(*clients[1].socket, "news", match::pattern));
  CHECK(publish(hub, "news", "again") == 1);
}

TEST_CASE("patterns match names of channels") {
  channel_hub hub;
  talk client;
  CHECK(hub.subscribe(client.socket, "room.*", match::pattern));
  CHECK(publish(hub, "room.1", "a") == 1);
  CHECK(publish(hub, "room.", "b") == 1);
  CHECK(publish(hub, "lobby", "c") == 0);
  CHECK(hub.subscribe(client.socket, "room.1", match::name));
  CHECK(publish(hub, "room.1", "d") == 2);  // one for each subscription
  CHECK(publish(hub, "room.*", "e") == 1);
  CHECK(hub.channels() == 2);
}

TEST_CASE("patterns mean what they say") {
  for (std::uint32_t seed = 1; seed <= 5000; ++seed) {
    CAPTURE(seed);
    stress::dice chance(seed);
    std::string pattern, name;
    for (std::size_t i = chance.below(8); i != 0; --i) pattern += "ab*?\\*"[chance.below(6)];
    for (std::size_t i = chance.below(8); i != 0; --i) name += "ab*?\\"[chance.below(5)];
    CAPTURE(pattern);
    CAPTURE(name);
    CHECK(matches_pattern(pattern, name) == slowly_matches(pattern, name));
  }
  // This one must not take for ever.
  std::string hostile;
  for (int i = 0; i != 200; ++i) hostile += "*a";
  CHECK(!matches_pattern(hostile + "b", std::string(5000, 'a')));
}

TEST_CASE("the end of a connection ends its subscriptions") {
  channel_hub hub;
  {
    talk client;
    CHECK(hub.subscribe(client.socket, "a", match::name));
    CHECK(hub.subscribe(client.socket, "b*", match::pattern));
    client.link->reset();
    client.settle();
    CHECK(hub.channels() == 0);
    CHECK(!hub.subscribe(client.socket, "c", match::name));
    CHECK(hub.channels() == 0);
  }
  CHECK(publish(hub, "a", "nobody") == 0);
}

TEST_CASE("a slow subscriber loses its connection, and delays no other") {
  captured_log const log;
  channel_hub hub;
  talk_setup small;
  small.settings.most_kept = 10'000;
  small.room = 500;
  talk slow(small);
  talk fast;
  CHECK(hub.subscribe(slow.socket, "news", match::name));
  CHECK(hub.subscribe(fast.socket, "news", match::name));
  int rounds = 0;
  while (publish(hub, "news", std::string(100, 'x')) == 2) REQUIRE(++rounds < 1000);
  CHECK(rounds >= 40);
  slow.settle();
  CHECK(hub.channels() == 1);
  for (int i = 0; i <= rounds; ++i) CHECK(fast.next_frame().payload.size() == 100);
}

TEST_CASE("random subscriptions, against a list of them") {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    stress::dice chance(seed);
    channel_hub hub;
    std::array<std::string_view, 4> const names{"a", "b", "ab", "?"};
    std::deque<talk> clients(4);
    std::set<std::pair<std::size_t, std::pair<std::string_view, bool>>> expected;
    for (int step = 0; step != 200; ++step) {
      std::size_t const who = chance.below(4);
      std::string_view const name = names[chance.below(4)];
      bool const pattern = chance.once_in(2);
      match const how = pattern ? match::pattern : match::name;
      switch (chance.below(5)) {
        case 0:
        case 1:
          if (hub.subscribe(clients[who].socket, name, how)) expected.insert({who, {name, pattern}});
          break;
        case 2: CHECK(hub.unsubscribe(*clients[who].socket, name, how) == (expected.erase({who, {name, pattern}}) != 0)); break;
        case 3: {
          auto const fits = static_cast<std::size_t>(std::count_if(expected.begin(), expected.end(), [&](auto const& each) {
            auto const& [subscribed, is_pattern] = each.second;
            return is_pattern ? slowly_matches(subscribed, name) : subscribed == name;
          }));
          CHECK(publish(hub, name, "x") == fits);
          break;
        }
        default:
          if (!chance.once_in(20)) break;
          clients[who].link->reset();
          clients[who].settle();
          std::erase_if(expected, [&](auto const& each) { return each.first == who; });
      }
    }
  }
}
