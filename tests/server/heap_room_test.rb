# frozen_string_literal: true

require_relative "support/load"
require_relative "support/server_test"

# Many Ractors that take turns do not collect to get heap pages from each other.
class HeapRoomTest < ServerTest
  APP = File.join(__dir__, "support/collections.ru")
  WORKERS = 64
  REQUESTS = 4000
  # Without room it was one every 10 to 20 requests; what the requests allocate is worth no more than two or three.
  MOST = 20

  def collections
    Client.open(@child.port) { |client| client.get("/").body.to_i }
  end

  def wait_in_turn(times)
    result = Load.new(@child.port, connections: WORKERS, path: "/wait", requests: times, body: "waited").run
    assert_equal [{ 200 => times }, []], [result.statuses, result.errors]
  end

  def test_as_many_waiting_workers_as_there_are_hardly_collect
    @child = Child.kino("-m", "ractor", "-w", WORKERS.to_s, APP)
    wait_in_turn(2 * WORKERS)
    before = collections
    wait_in_turn(REQUESTS)
    assert_operator collections - before, :<=, MOST
  ensure
    @child&.finish
  end

  def test_a_collector_that_was_off_stays_off
    GC.disable
    serve(Apps::Basic.new, :ractor)
    assert GC.enable, "it was off"
  ensure
    GC.enable
  end
end
