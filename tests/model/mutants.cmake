# SPDX-License-Identifier: MIT
#
# Deliberately broken programs: each has one header with one line changed, and one scenario of its
# model must fail. A model that cannot fail proves nothing.

# kino_add_mutant(name model scenario header old new): `old` stands exactly once in include/kino/<header>.
function(kino_add_mutant name model scenario header old new)
  set(include "${CMAKE_CURRENT_BINARY_DIR}/mutants/${name}")
  # What this mutant changed in an earlier configuration, when the line stood in another header.
  file(GLOB_RECURSE stale "${include}/*")
  list(REMOVE_ITEM stale "${include}/kino/${header}")
  if(stale)
    file(REMOVE ${stale})
  endif()
  kino_mutate(${name} "${PROJECT_SOURCE_DIR}/include/kino/${header}" "${old}" "${new}" "${include}/kino/${header}")

  set(target model_${model}_${name})
  add_executable(${target} model/${model}.cpp)
  target_compile_definitions(${target} PRIVATE "KINO_MODEL_MUTANT=\"${scenario}\"")
  target_compile_options(${target} PRIVATE -O0 -g0)  # Compiling takes longer than finding fault.
  target_include_directories(${target} SYSTEM PRIVATE "${RELACY_INCLUDE_DIR}")
  target_include_directories(${target} BEFORE PRIVATE "${include}" model)
  target_link_libraries(${target} PRIVATE kino::core)
  add_test(NAME model.${model}.without.${name} COMMAND ${target})
  kino_test_properties(model.${model}.without.${name} model 120)
  kino_test_target(model ${target})
endfunction()

# The handshake: either side's order, either side's second look.
kino_add_mutant(order_of_sleeping wake_throttle "one pusher, one taker" detail/wake_throttle.hpp
  [[(running ? one_running : 0),
                    std::memory_order_seq_cst]]
  [[(running ? one_running : 0),
                    std::memory_order_acq_rel]])
kino_add_mutant(order_of_waking wake_throttle "one pusher, one taker" detail/wake_throttle.hpp
  [[  wake notify() {
    std::uint64_t const seen = word_.load(std::memory_order_seq_cst);]]
  [[  wake notify() {
    std::uint64_t const seen = word_.load(std::memory_order_acquire);]])
kino_add_mutant(consumed_notification wake_throttle "giving up" detail/wake_throttle.hpp
  [[self.spot.consume_notification();]] [[]])
kino_add_mutant(sticky_notification wake_throttle "one pusher, one taker" parker.hpp
  [[    notified_ = true;
    if (sleeping_)]]
  [[    if (sleeping_) notified_ = true;
    if (sleeping_)]])

kino_add_mutant(look_after_registration condition "one change" condition.hpp
  [[      while (!done()) {
        if (park(spot_) == park_result::timed_out) return done();
      }]]
  [[      do {
        if (park(spot_) == park_result::timed_out) return done();
      } while (!done());]])
kino_add_mutant(notified_after_leaving condition "one change" condition.hpp
  [[    detail::lock guard(mutex_);
    // Under the mutex]]
  [[    { detail::lock guard(mutex_); }
    // Under the mutex]])

kino_add_mutant(order_of_pushing channel "back pressure" detail/bounded_store.hpp
  [[word_.fetch_add(one_ready, std::memory_order_seq_cst);]]
  [[word_.fetch_add(one_ready, std::memory_order_relaxed);]])
kino_add_mutant(order_of_looking channel "back pressure" detail/bounded_store.hpp
  [[return ready(word_.load(std::memory_order_seq_cst)) != 0;]]
  [[return ready(word_.load(std::memory_order_acquire)) != 0;]])
kino_add_mutant(look_before_sleep channel "back pressure" channel.hpp
  [[line.enter(self, searching.on, searching.on);
    if (waits()) line.notify();]]
  [[line.enter(self, searching.on, searching.on);]])
kino_add_mutant(search_passed_on channel "back pressure" channel.hpp
  [[      line.stop_searching(false);
      if (waits()) line.notify();]]
  [[      line.stop_searching(false);]])
kino_add_mutant(search_ended channel "back pressure" channel.hpp
  [[      line.stop_searching(false);
      if (waits())]]
  [[      if (waits())]])
kino_add_mutant(grant_after_interruption channel "leaving" channel.hpp
  [[searching.on = !line.leave(self) && self.granted;]]
  [[static_cast<void>(line.leave(self));]])
kino_add_mutant(place_after_failed_push channel "a failing push" channel.hpp
  [[popped();  // The reserved place is free again.]] [[]])
kino_add_mutant(consumers_at_close channel "closing" channel.hpp
  [[  if (store_.finished()) consumers_.release_all();
]] [[]])

kino_add_mutant(one_winner claim "an answer, a time-out and a drop" detail/claim.hpp
  [[    if (!try_claim(how)) return false;]]
  [[    if (ended()) return false;
    static_cast<void>(try_claim(how));]])
kino_add_mutant(order_of_dropping claim "a supervisor and two drops" detail/claim.hpp
  [[counts_.fetch_sub(one_weak, std::memory_order_acq_rel)]]
  [[counts_.fetch_sub(one_weak, std::memory_order_release)]])
kino_add_mutant(order_of_ending claim "an end that is seen" detail/claim.hpp
  [[return state_.load(std::memory_order_acquire) != unclaimed;]]
  [[return state_.load(std::memory_order_relaxed) != unclaimed;]])
kino_add_mutant(release_last claim "a place that is reused" detail/claim.hpp
  [[      end(ending::abandoned);
      drop_weak();]]
  [[      drop_weak();
      end(ending::abandoned);]])
kino_add_mutant(order_of_arrival claim "asking and answering" responder.hpp
  [[arrived_.store(true, std::memory_order_release);]]
  [[arrived_.store(true, std::memory_order_relaxed);]])

kino_add_mutant(work_after_lending run_permits "another goes on while one has lent" run_permits.hpp
  [[if (mine.state_.exchange(state::lent, std::memory_order_relaxed) == state::running) {
    throttle_.stop_running();
    pass_on();]]
  [[if (mine.state_.exchange(state::lent, std::memory_order_relaxed) == state::running) {
    throttle_.stop_running();]])
kino_add_mutant(work_after_leaving run_permits "another goes on while one has left" run_permits.hpp
  [[    return;
  }
  pass_on();
}]]
  [[    return;
  }
}]])
kino_add_mutant(work_after_beginning run_permits "two begin together" run_permits.hpp
  [[    throttle_.stop_searching(true);
    pass_on();]]
  [[    throttle_.stop_searching(true);]])
kino_add_mutant(expiry_is_atomic run_permits "handlers that lend" detail/slices.hpp
  [[if (!other.state_.compare_exchange_strong(seen, permit::state::expired,
                                                std::memory_order_relaxed)) {
        continue;
      }]]
  [[other.state_.store(permit::state::expired, std::memory_order_relaxed);]])
kino_add_mutant(lending_is_atomic run_permits "handlers that lend" run_permits.hpp
  [[if (mine.state_.exchange(state::lent, std::memory_order_relaxed) == state::running) {]]
  [[auto const held = mine.state_.load(std::memory_order_relaxed);
  mine.state_.store(state::lent, std::memory_order_relaxed);
  if (held == state::running) {]])
kino_add_mutant(searchers_expire run_permits "a searcher that never arrives" detail/slices.hpp
  [[if (seen != permit::state::running && seen != permit::state::searching) continue;]]
  [[if (seen != permit::state::running) continue;]])
kino_add_mutant(monitor run_permits "a handler that never ends" run_permits.hpp
  [[    if (wake_one()) monitor_.call();]]
  [[    static_cast<void>(wake_one());]])
kino_add_mutant(woken_are_watched run_permits "a wake-up that comes to nothing" run_permits.hpp
  [[    if (wake_one()) monitor_.call();]]
  [[    using wake = detail::wake_throttle::wake;
    wake const seen = throttle_.notify();
    if (seen != wake::nobody_parked && seen != wake::woke) monitor_.call();]])
kino_add_mutant(monitor_looks_twice run_permits "a false alarm before" detail/slice_monitor.hpp
  [[        if (duties_.work_waits() && duties_.wake_one()) {
          watching_.store(true, std::memory_order_seq_cst);
        }
]] [[]])
kino_add_mutant(idle_before_step_back run_permits "handlers that lend" run_permits.hpp
  [[if (mine.state_.compare_exchange_strong(now, state::idle, std::memory_order_relaxed)) {
      if (throttle_.try_step_back()) return false;]]
  [[{
      if (throttle_.try_step_back()) {
        mine.state_.store(state::idle, std::memory_order_relaxed);
        return false;
      }]])
kino_add_mutant(late_stop run_permits "stop" run_permits.hpp
  [[bool const stopped = stopped_.load(std::memory_order_seq_cst);]]
  [[bool const stopped = false;]])
kino_add_mutant(reclaim_counts run_permits "handlers that lend" run_permits.hpp
  [[  throttle_.run_anyway();
]] [[]])

kino_add_mutant(order_of_inserting registry "publishing" registry.hpp
  [[| live, std::memory_order_release);]]
  [[| live, std::memory_order_relaxed);]])
kino_add_mutant(order_of_unpinning registry "erasing" registry.hpp
  [[fetch_sub(one_pin, std::memory_order_acq_rel)]]
  [[fetch_sub(one_pin, std::memory_order_relaxed)]])
kino_add_mutant(live_bit registry "erasing" registry.hpp
  [[ || !(seen & live)) return {};]] [[) return {};]])
kino_add_mutant(order_of_walking registry "walking" registry.hpp
  [[seen + one_pin, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {]]
  [[seen + one_pin, std::memory_order_relaxed,
                                            std::memory_order_relaxed)) {]])
kino_add_mutant(walk_without_pin registry "walking" registry.hpp
  [[    pin const held(*this, each);
]] [[    each.word.fetch_sub(one_pin, std::memory_order_acq_rel);
]])
kino_add_mutant(order_of_beginning worker_slots "starting" worker_slots.hpp
  [[mine.in_flight.store(before + 1, std::memory_order_release);]]
  [[mine.in_flight.store(before + 1, std::memory_order_relaxed);]])

kino_add_mutant(order_of_linking line_queue "one pusher" detail/line_queue.hpp
  [[before->next.store(fresh, std::memory_order_seq_cst);]]
  [[before->next.store(fresh, std::memory_order_release);]])
kino_add_mutant(order_of_dozing line_queue "one pusher" detail/line_queue.hpp
  [[asleep_.store(true, std::memory_order_seq_cst);]]
  [[asleep_.store(true, std::memory_order_release);]])
kino_add_mutant(second_look_for_a_line line_queue "one pusher" detail/line_queue.hpp
  [[if (!head_->next.load(std::memory_order_seq_cst)) return true;]]
  [[if (head_) return true;]])
kino_add_mutant(order_of_popping line_queue "one pusher" detail/line_queue.hpp
  [[line* const next = head_->next.load(std::memory_order_acquire);  // pairs with push
    if (!next) return false;]]
  [[line* const next = head_->next.load(std::memory_order_relaxed);
    if (!next) return false;]])
