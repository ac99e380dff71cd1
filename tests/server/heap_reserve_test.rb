# frozen_string_literal: true

require_relative "support/load"
require_relative "support/server_test"

# Many Ractors that alternate do not cause collections to take heap pages from each other.
class HeapReserveTest < ServerTest
  APP = File.join(__dir__, "support/collections.ru")
  WORKERS = 64
  REQUESTS = 1024
  # Without room it was one every 10 to 20 requests; what the requests allocate is worth no more than one or two.
  MOST = 5
  # In one of them it is noticed: which one, the order decides in which the workers run.
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

  def test_whether_ractors_share_a_heap
    before = GC.count
    ractor = Kino::Topology.ractor(name: "collects") { 3.times { GC.start } }
    ractor.respond_to?(:value) ? ractor.value : ractor.take
    shared = GC.count - before >= 3
    assert_equal shared, Kino::HeapReserve.shared_heap?
    assert_equal shared, !Kino::HeapReserve.for(0, 1).nil?
  end

  def test_as_many_waiting_workers_as_there_are_hardly_collect_once_it_was_noticed
    skip "each Ractor has a heap of its own" unless Kino::HeapReserve.shared_heap?
    @child = Child.kino("-m", "ractor", "-w", WORKERS.to_s, APP)
    rounds = []
    # The first pages last for a round that is quiet, too.
    noticed = ROUNDS.times.any? do
      rounds << collections_of_a_round
      rounds.size >= QUIET && rounds.last(QUIET).max <= MOST
    end
    assert noticed, "collections per #{REQUESTS} requests: #{rounds}"
  ensure
    @child&.finish
  end
end
