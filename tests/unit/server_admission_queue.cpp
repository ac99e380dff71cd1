// SPDX-License-Identifier: MIT

#include "admission/admission_queue.hpp"

#include "../support/await.hpp"
#include "../support/http_server_test.hpp"
#include "../support/websocket_talk.hpp"

#include <asio/post.hpp>
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <future>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using server::exchange;
using server::admission_queue;
using fate = server::admission_queue::fate;

namespace {

// An exchange without a connection would not know where to send its answer; these only count.
class ticket final : public kino::completion<server::response_part> {
public:
  [[nodiscard]] bool expired() const { return expired_; }

private:
  void delivered(kino::outcome<server::response_part>&& result) noexcept override {
    expired_ = result.kind() == kino::ending::expired;
  }
  void released() noexcept override {}
  std::atomic<bool> expired_{false};
};

// A queue with as much room as the test says.
struct queue {
  std::mutex mutex;
  std::vector<exchange::reply> taken;
  std::size_t room = 0;
  bool closed = false;

  fate offer(server::work& any) {
    std::lock_guard guard(mutex);
    if (closed) return fate::closed;
    if (room == 0) return fate::full;
    --room;
    taken.push_back(std::move(any.reply));
    return fate::accepted;
  }
  void add_room(std::size_t more) {
    std::lock_guard guard(mutex);
    room += more;
  }
  std::vector<void const*> order() {
    std::lock_guard guard(mutex);
    std::vector<void const*> all;
    for (exchange::reply const& each : taken) all.push_back(each.place());
    return all;
  }
};

constexpr auto for_ever = std::chrono::hours(1);

class room_test {
public:
  explicit room_test(server::clock::duration timeout, admission_queue::offer offer)
      : http_(handler_), room_(http_.get().first_thread(), timeout, std::move(offer)) {}
  ~room_test() {
    room_.close();
    http_.get().stop();
  }
  admission_queue* operator->() { return &room_; }

  // Rings the alarm, which is set for a later time, on its thread. Returns after all that the thread was to do before.
  void ring() {
    on_thread([this] { http_.get().first_thread().deadlines().run(server::clock::now() + 2 * for_ever); });
  }
  // Lets no alarm ring until `go_on` is ready.
  void keep_busy(std::future<void> go_on) { http_.keep_busy(std::move(go_on)); }
  // Whether an alarm is set, after all that the thread was to do before.
  [[nodiscard]] bool alarm_set() {
    bool set = false;
    on_thread([&] { set = http_.get().first_thread().deadlines().next() != server::clock::time_point::max(); });
    return set;
  }

private:
  template <class Work>
  void on_thread(Work work) {
    std::promise<void> done;
    asio::post(http_.get().first_thread().context(), [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  desk handler_;
  running_http_server http_;
  admission_queue room_;
};

}  // namespace

TEST_CASE("guests go in when there is room, in order") {
  std::deque<ticket> tickets(5);
  queue behind;
  room_test room(for_ever, [&](server::work& any) { return behind.offer(any); });
  behind.room = 1;
  for (ticket& each : tickets) room->enter(exchange::reply(each));
  CHECK(room->size() == 4);
  behind.add_room(2);
  room->room_again();
  CHECK(room->size() == 2);
  behind.add_room(9);
  room->room_again();
  CHECK(room->size() == 0);
  std::vector<void const*> const order = behind.order();
  REQUIRE(order.size() == tickets.size());
  for (std::size_t i = 0; i < order.size(); ++i) CHECK(order[i] == &tickets[i]);
}

TEST_CASE("an entry expires at its deadline, and the one after it at its own") {
  std::deque<ticket> tickets(3);
  queue behind;
  room_test room(std::chrono::milliseconds(20), [&](server::work& any) { return behind.offer(any); });
  for (ticket& each : tickets) {
    std::promise<void> seen;
    room.keep_busy(seen.get_future());
    room->enter(exchange::reply(each));
    CHECK(room->size() == 1);
    seen.set_value();
    await([&] { return each.expired(); });
    await([&] { return room->size() == 0; });
  }
}

TEST_CASE("an alarm that rings while the only entry is being offered is not its last") {
  std::atomic<int> offers{0};
  std::atomic<bool> rung{false};
  std::promise<void> in_hand;
  ticket first;
  ticket other;
  room_test room(std::chrono::milliseconds(20), [&](server::work&) {
    // The offer by room_again lasts until an alarm has been missed.
    if (++offers == 3) {
      in_hand.set_value();
      rung.wait(false);
    }
    return fate::full;
  });
  room.keep_busy(in_hand.get_future());
  room->enter(exchange::reply(first));  // offers twice: it may have been the last to see no room
  CHECK(offers == 2);
  std::thread worker([&] { room->room_again(); });
  await([&] { return offers == 3; });
  // This one's deadline is later. It expires in an alarm that found the first entry in hand.
  room->enter(exchange::reply(other));
  await([&] { return other.expired(); });
  rung = true;
  rung.notify_one();
  worker.join();
  await([&] { return first.expired(); });
  CHECK(room->size() == 0);
}

TEST_CASE("an entry that comes back in time keeps its deadline although the last alarm has rung") {
  std::deque<ticket> tickets(2);
  queue behind;
  std::atomic<int> offers{0};
  std::atomic<bool> go_on{false};
  room_test room(for_ever, [&](server::work& any) {
    if (++offers == 6) go_on.wait(false);
    return behind.offer(any);
  });
  // The alarm is the first one's, which does not need it ...
  room->enter(exchange::reply(tickets[0]));
  behind.add_room(1);
  room->room_again();
  CHECK(behind.order().size() == 1);
  room->enter(exchange::reply(tickets[1]));
  CHECK(offers == 5);
  CHECK(room.alarm_set());
  // ... and rings while the second one, whose time is not over, is being offered.
  std::thread worker([&] { room->room_again(); });
  await([&] { return offers == 6; });
  room.ring();
  CHECK(!room.alarm_set());
  go_on = true;
  go_on.notify_one();
  worker.join();
  CHECK(room->size() == 1);
  CHECK(room.alarm_set());
}

TEST_CASE("a request that cannot be queued for lack of memory expires, and the next one is queued") {
  std::atomic<int> failures{1};
  std::deque<ticket> tickets(4);
  queue behind;
  room_test room(for_ever, [&](server::work& any) {
    if (failures-- > 0) throw std::bad_alloc();
    return behind.offer(any);
  });
  behind.room = 1;
  room->enter(exchange::reply(tickets[0]));
  CHECK(tickets[0].expired());
  room->enter(exchange::reply(tickets[1]));
  CHECK(behind.order().size() == 1);
  room->enter(exchange::reply(tickets[2]));
  room->enter(exchange::reply(tickets[3]));
  CHECK(room->size() == 2);
  failures = 1;
  behind.add_room(1);
  room->room_again();
  CHECK(tickets[2].expired());
  CHECK(behind.order().back() == &tickets[3]);
  CHECK(room->size() == 0);
}

TEST_CASE("closing expires requests that wait, that are being offered, and that come later") {
  std::atomic<int> offers{0};
  std::atomic<bool> go_on{false};
  std::deque<ticket> tickets(3);
  room_test room(for_ever, [&](server::work&) {
    if (++offers == 3) go_on.wait(false);
    return fate::full;
  });
  room->enter(exchange::reply(tickets[0]));
  std::thread worker([&] { room->room_again(); });
  await([&] { return offers == 3; });
  room->enter(exchange::reply(tickets[1]));
  room->close();
  CHECK(tickets[1].expired());
  go_on = true;
  go_on.notify_one();
  worker.join();
  CHECK(tickets[0].expired());
  room->enter(exchange::reply(tickets[2]));
  CHECK(tickets[2].expired());
  CHECK(room->size() == 0);
}

TEST_CASE("guests of many threads all go in or expire") {
  constexpr int threads = 4;
  constexpr int each = 3000;
  std::deque<ticket> tickets(threads * each);
  queue behind;
  {
    room_test room(std::chrono::milliseconds(1), [&](server::work& any) { return behind.offer(any); });
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i) {
      all.emplace_back([&, i] {
        for (int n = 0; n < each; ++n) {
          room->enter(exchange::reply(tickets[static_cast<std::size_t>(i * each + n)]));
          if (n % 3 == 0) continue;
          behind.add_room(1);
          room->room_again();
        }
      });
    }
    for (std::thread& one : all) one.join();
    await([&] { return room->size() == 0; });
  }
  std::size_t expired = 0;
  for (ticket const& one : tickets) expired += one.expired();
  CHECK(expired + behind.taken.size() == tickets.size());
  CHECK(expired != 0);
}

TEST_CASE("requests and turns of WebSockets go in alternately, each in order") {
  std::deque<ticket> tickets(4);
  std::deque<websocket_test::talk> sockets(4);
  std::string order;
  std::vector<server::work> taken;
  std::size_t room = 0;
  room_test queue(for_ever, [&](server::work& any) {
    if (room == 0) return fate::full;
    --room;
    for (std::size_t i = 0; i != 4; ++i) {
      if (any.reply && any.reply.place() == &tickets[i]) order += static_cast<char>('a' + i);
      if (any.turn && any.turn.of() == sockets[i].socket) order += static_cast<char>('1' + i);
    }
    taken.push_back(std::move(any));
    return fate::accepted;
  });
  for (std::size_t i = 0; i != 4; ++i) {
    queue->enter(exchange::reply(tickets[i]));
    queue->enter(sockets[i].take_turn());
  }
  CHECK(queue->size() == 4);
  for (int i = 0; i != 8; ++i) {
    room = 1;
    queue->room_again();
  }
  CHECK((order == "a1b2c3d4" || order == "1a2b3c4d"));
  CHECK(queue->size() == 0);
  for (server::work& each : taken) each.turn.finish();
}

TEST_CASE("a turn has no deadline, and is discarded when the queue closes") {
  ticket request;
  websocket_test::talk socket;
  queue behind;
  {
    room_test room(std::chrono::milliseconds(0), [&](server::work& any) { return behind.offer(any); });
    room->enter(exchange::reply(request));
    room->enter(socket.take_turn());
    room.ring();
    CHECK(request.expired());
    CHECK(socket.socket->open());
    CHECK(room->size() == 0);
  }
  CHECK(!socket.socket->open());
  CHECK(socket.open == 0);
}
