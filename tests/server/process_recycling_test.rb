# frozen_string_literal: true

require_relative "support/census"
require_relative "support/process_family"
require_relative "support/server_test"

# In mode threaded, max_requests replaces one of several processes.
class ProcessRecyclingTest < ServerTest
  include ProcessFamily

  def start(*arguments)
    start_family(APP, *arguments)
    @child.follow
  end

  def census = Census.new(Addrinfo.tcp("127.0.0.1", @child.port), connections: 8, path: "/")

  covers :max_requests
  def test_a_process_that_has_served_max_requests_is_replaced_and_no_request_is_lost
    start "--processes", "2", "--max-requests", "200", "--max-requests-jitter", "20"
    before = pids
    seen = census.run { stats["processes_recycled"] >= 6 }.finish
    assert_equal [{}, [200]], [seen.losses, seen.statuses.keys]
    assert_empty before.values & pids.values
    recycled = stats["processes_recycled"]
    # Each served its number; the last ones are not yet due, or are being replaced.
    assert_includes recycled * 200.., seen.answered
    metrics = Client.open(control) { |client| client.get("/metrics").body }
    assert_match(/^kino_processes_recycled_total [1-9]/, metrics)
    assert_match(/^kino_process_replacements_total 0$/, metrics)
    stop
    assert_operator @child.log.scan(/^kino: process [12] \(pid \d+\) has served max_requests, and is replaced by pid \d+$/).size, :>=, recycled
    refute_match(/ended with|is ready|killed/, @child.log)
  end

  # A crash takes the requests of its process, a replacement after max_requests none.
  def test_crashes_meanwhile_cost_only_their_own_requests
    seed = ENV.fetch("SEED", Random.new_seed % 10_000).to_i
    random = Random.new(seed)
    start "--processes", "3", "--max-requests", "100"
    crashes = 0
    seen = census.run do
      if random.rand < 0.01 && crashes < 4
        kill([pids.values.sample(random: random)].compact)
        crashes += 1
      end
      crashes == 4 && stats["processes_recycled"] >= 5
    end.finish
    assert_operator seen.losses.values.sum, :<=, 8 * crashes, "SEED=#{seed}"
    assert_equal [200], seen.statuses.keys, "SEED=#{seed}"
    eventually("there are three again: SEED=#{seed}") { stats.then { |now| now["process_status"].size == 3 && now["alive"] == 6 } }
    stop
  end

  def test_one_process_is_not_replaced_and_the_log_says_why
    start "--max-requests", "10"
    assert_equal({}, census.run { stats["served"] >= 100 }.finish.losses)
    stop
    assert_match(/max_requests 10 has no effect in mode threaded.*; with several processes, it replaces the process$/, @child.log)
  end
end
