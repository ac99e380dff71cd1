# frozen_string_literal: true

require_relative "support/load"
require_relative "support/server_test"

# Many Ractors that take turns do not cause a collection whenever one of them needs a heap page.
class HeapReserveTest < ServerTest
  APP = File.join(__dir__, "support/collections.ru")
  WORKERS = 64
  REQUESTS = 1024
  # Without a reserve there is one every 10 to 20 requests; the objects of the requests cause one or two at most.
  MOST = 5
  # The lack of pages is detected in one of these; in which one depends on the order in which the workers run.
  ROUNDS = 8
  QUIET = 3

  def collections
    Client.open(@child.port) { |client| client.get("/").body.to_i }
  end

  def wait_in_turn(times)
    result = Load.new(@child.port, connections: WORKERS, path: "/wait", requests: times, body: "waited").run
    assert_equal [{ 200 => times }, []], [result.statuses, result.errors]
  end

  def collections_of_a_round
    before = collections
    wait_in_turn(REQUESTS)
    collections - before
  end

  def test_a_shared_heap_is_detected
    before = GC.count
    ractor = Kino::Topology.ractor(name: "collects") { 3.times { GC.start } }
    ractor.respond_to?(:value) ? ractor.value : ractor.take
    shared = GC.count - before >= 3
    assert_equal shared, Kino::HeapReserve.shared_heap?
    assert_equal shared, !Kino::HeapReserve.for(0, 1).nil?
  end

  def test_waiting_workers_hardly_collect_once_the_reserve_has_been_added
    skip "each Ractor has its own heap" unless Kino::HeapReserve.shared_heap?
    @child = Child.kino("-m", "ractor", "-w", WORKERS.to_s, APP)
    rounds = []
    # The initial pages may suffice for one quiet round, but not for several in a row.
    quiet = ROUNDS.times.any? do
      rounds << collections_of_a_round
      rounds.size >= QUIET && rounds.last(QUIET).max <= MOST
    end
    assert quiet, "collections per #{REQUESTS} requests: #{rounds}"
  end
end
