// SPDX-License-Identifier: MIT
//
// Compares three stores with the same producer and the same Ruby workers: kino's dispatcher,
// moodycamel's blocking queue, and a deque under a mutex with a condition variable.

#include <kino/dispatch.hpp>

#if __has_include(<concurrentqueue/blockingconcurrentqueue.h>)
#include <concurrentqueue/blockingconcurrentqueue.h>
#else
#include <concurrentqueue/moodycamel/blockingconcurrentqueue.h>
#endif

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr int most_in_flight = 4096;
kino::channel<int>* free_tickets;  // tickets that have been answered

// A ticket is one request that is submitted repeatedly.
struct ticket final : kino::completion<long> {
  int number = 0;
  void delivered(kino::outcome<long>&&) noexcept override {}
  void released() noexcept override {
    rearm();
    static_cast<void>(free_tickets->try_push(int{number}));
  }
};
ticket tickets[most_in_flight];

struct item {
  long number = 0;
  kino::responder<long> reply;
};

// The common interface of the three. Waiting workers are Ruby threads in all of them.
class store {
public:
  virtual ~store() = default;
  virtual bool push(item&& next) = 0;
  virtual void serve(kino::gvl const& held) = 0;
  virtual void close() = 0;
  virtual std::size_t joined() const = 0;
  virtual std::uint64_t wakes() const = 0;
  virtual std::uint64_t watcher_wakes() const { return 0; }

protected:
  static void handle(kino::gvl const& held, item& taken) {
    VALUE const number = LONG2FIX(taken.number);
    long answer = 0;
    kino::protect(held, [&] { answer = FIX2LONG(rb_yield(number)); });
    taken.reply.answer(std::move(answer));
    taken = item();
  }
};

class kino_store final : public store {
public:
  kino_store(kino::gvl const& held, std::size_t workers, std::uint32_t concurrency, bool permits)
      : dispatcher_(held, {.capacity = most_in_flight,
                           .slots = workers,
                           .concurrency = concurrency,
                           .permits = permits}) {}
  bool push(item&& next) override {
    return dispatcher_.try_submit(std::move(next)) == kino::push_result::pushed;
  }
  void serve(kino::gvl const& held) override {
    dispatcher_.serve(held, [&](item& taken) { handle(held, taken); });
  }
  void close() override { dispatcher_.close(); }
  std::size_t joined() const override {
    std::size_t count = 0;
    for (auto const& slot : dispatcher_.slots().snapshot()) count += slot.occupied;
    return count;
  }
  std::uint64_t wakes() const override { return dispatcher_.permits().wake_count(); }
  std::uint64_t watcher_wakes() const override {
    return dispatcher_.permits().watcher_wake_count();
  }

private:
  kino::dispatcher<item> dispatcher_;
};

// The other stores wait as their users do: with the GVL released, in ticks of 50 ms because an
// interrupt cannot wake the wait.
class ticking_store : public store {
public:
  void serve(kino::gvl const& held) override {
    kino::detail::pin_thread();
    joined_.fetch_add(1);
    item taken;
    for (;;) {
      bool found = try_pop(taken);
      while (!found && !closed_.load()) {
        found = kino::without_gvl(held, [&] { return pop_for_a_tick(taken); },
                                  kino::uninterruptible);
        if (!found) held.check_interrupts();
      }
      if (!found) return;
      handle(held, taken);
    }
  }
  void close() override { closed_.store(true); }
  std::size_t joined() const override { return joined_.load(); }
  std::uint64_t wakes() const override { return wakes_.load(); }

protected:
  virtual bool try_pop(item& out) = 0;
  virtual bool pop_for_a_tick(item& out) = 0;
  static constexpr auto tick = std::chrono::milliseconds(50);
  std::atomic<std::uint64_t> wakes_{0};

private:
  std::atomic<bool> closed_{false};
  std::atomic<std::size_t> joined_{0};
};

class moodycamel_store final : public ticking_store {
public:
  bool push(item&& next) override { return queue_.enqueue(std::move(next)); }

private:
  bool try_pop(item& out) override { return queue_.try_dequeue(out); }
  bool pop_for_a_tick(item& out) override {
    bool const found = queue_.wait_dequeue_timed(out, tick);
    wakes_.fetch_add(found, std::memory_order_relaxed);
    return found;
  }
  moodycamel::BlockingConcurrentQueue<item> queue_;
};

class mutex_store final : public ticking_store {
public:
  bool push(item&& next) override {
    {
      std::lock_guard guard(mutex_);
      queue_.push_back(std::move(next));
    }
    condition_.notify_one();
    return true;
  }

private:
  bool try_pop(item& out) override {
    std::lock_guard guard(mutex_);
    return pop(out);
  }
  bool pop_for_a_tick(item& out) override {
    std::unique_lock guard(mutex_);
    if (pop(out)) return true;
    condition_.wait_for(guard, tick, [&] { return !queue_.empty(); });
    wakes_.fetch_add(1, std::memory_order_relaxed);
    return pop(out);
  }
  bool pop(item& out) {
    if (queue_.empty()) return false;
    out = std::move(queue_.front());
    queue_.pop_front();
    return true;
  }
  std::mutex mutex_;
  std::condition_variable condition_;
  std::deque<item> queue_;
};

store* current;
std::atomic<bool> producing{false};
std::atomic<std::uint64_t> answered{0};
std::thread producer;

// DispatchBench.open(kind, workers, concurrency, permits)
VALUE open_store(kino::gvl const& held, VALUE, VALUE kind, VALUE workers, VALUE concurrency,
                 VALUE permits) {
  std::string_view const name(RSTRING_PTR(kind), static_cast<std::size_t>(RSTRING_LEN(kind)));
  if (name == "kino") {
    current = new kino_store(held, static_cast<std::size_t>(FIX2LONG(workers)),
                             static_cast<std::uint32_t>(FIX2LONG(concurrency)), RTEST(permits));
  } else if (name == "moodycamel") {
    current = new moodycamel_store;
  } else {
    current = new mutex_store;
  }
  return Qnil;
}

VALUE serve(kino::gvl const& held, VALUE) {
  current->serve(held);
  return Qnil;
}

// DispatchBench.produce(in_flight): keeps that many items in flight from a native thread.
VALUE produce(kino::gvl const&, VALUE, VALUE in_flight) {
  free_tickets = new kino::channel<int>(most_in_flight);
  for (int i = 0; i < FIX2LONG(in_flight); ++i) {
    tickets[i].number = i;
    static_cast<void>(free_tickets->try_push(int{i}));
  }
  producing.store(true);
  producer = std::thread([in_flight = FIX2LONG(in_flight)] {
    int number = 0;
    std::uint64_t handed_out = 0;
    while (producing.load(std::memory_order_relaxed)) {
      if (free_tickets->pop_for(number, std::chrono::milliseconds(100)) !=
          kino::pop_result::popped) {
        continue;
      }
      if (!current->push({number, kino::responder<long>(tickets[number])})) break;
      ++handed_out;
      if (handed_out > static_cast<std::uint64_t>(in_flight)) {
        answered.store(handed_out - static_cast<std::uint64_t>(in_flight),
                       std::memory_order_relaxed);
      }
    }
  });
  return Qnil;
}

VALUE stop(kino::gvl const& held, VALUE) {
  producing.store(false);
  kino::without_gvl(held, [] { if (producer.joinable()) producer.join(); },
                    kino::uninterruptible);
  current->close();
  return Qnil;
}

// DispatchBench.counts: items answered, workers woken, monitor wake-ups, workers joined.
VALUE counts(kino::gvl const&, VALUE) {
  return rb_ary_new_from_args(4, ULL2NUM(answered.load()), ULL2NUM(current->wakes()),
                              ULL2NUM(current->watcher_wakes()), SIZET2NUM(current->joined()));
}

// --- one request at a time, timed: DispatchBench.probe(count) -> microseconds of each ---
VALUE probe(kino::gvl const& held, VALUE, VALUE count, VALUE pause_us) {
  std::vector<double> times;
  kino::without_gvl(
      held,
      [&] {
        for (long i = 0; i < FIX2LONG(count); ++i) {
          auto [answer, respond] = kino::make_response<long>();
          auto const began = std::chrono::steady_clock::now();
          if (!current->push({-1, std::move(respond)})) break;
          static_cast<void>(answer.wait());
          times.push_back(std::chrono::duration<double, std::micro>(
                              std::chrono::steady_clock::now() - began)
                              .count());
          std::this_thread::sleep_for(std::chrono::microseconds(FIX2LONG(pause_us)));
        }
      },
      kino::uninterruptible);
  VALUE const all = rb_ary_new();
  for (double each : times) rb_ary_push(all, DBL2NUM(each));
  return all;
}

// DispatchBench.occupy(count): submits requests numbered -2, whose handlers compute for long.
VALUE occupy(kino::gvl const&, VALUE, VALUE count) {
  for (long i = 0; i < FIX2LONG(count); ++i) {
    auto [answer, respond] = kino::make_response<long>();
    static_cast<void>(current->push({-2, std::move(respond)}));
  }
  return Qnil;
}

}  // namespace

KINO_EXTENSION(dispatch_bench) {
  VALUE const bench = rb_define_module("DispatchBench");
  kino::define_function<open_store>(bench, "open");
  kino::define_function<serve>(bench, "serve");
  kino::define_function<produce>(bench, "produce");
  kino::define_function<stop>(bench, "stop");
  kino::define_function<counts>(bench, "counts");
  kino::define_function<probe>(bench, "probe");
  kino::define_function<occupy>(bench, "occupy");
}
