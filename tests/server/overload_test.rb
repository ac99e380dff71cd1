# frozen_string_literal: true

require_relative "support/server_test"

# More requests than the workers and the queue can hold.
class OverloadTest < ServerTest
  # Two of the late requests fit into the queue; the others wait for a place in it.
  covers :queue_timeout, :in_flight, :queued, :rejected
  test "requests that no worker takes within queue_timeout get 503 and never reach the app" do |mode|
    # Its requests are older, and keep waiting.
    patient = serve(Apps::Basic.new, mode, workers: 1, queue_timeout: 3600)
    kept = gate
    waiting = Array.new(3) { Client.new(patient.port).send_request("GET", "/hold?#{kept.query}") }
    eventually("two wait") { patient.stats[:queued] == 2 }
    server = serve(Apps::Basic.new, mode, workers: 2, queue_depth: 2, queue_timeout: 1)
    held = gate
    stuck = Array.new(2) { Client.new(server.port).send_request("GET", "/hold?#{held.query}") }
    held.await(2)
    late = Array.new(5) { Client.new(server.port).send_request("GET", "/hold?#{held.query}") }
    late.each do |client|
      response = client.read_response
      assert_equal 503, response.status
      assert_match(/\A\d+\z/, response["retry-after"])
    end
    assert_equal [2, 0, 5], server.stats.values_at(:in_flight, :queued, :rejected)
    held.open
    stuck.each { |client| assert_equal "held", client.read_response.body }
    # The workers skip the expired requests.
    assert_healthy(server)
    assert_equal [3, 5], server.stats.values_at(:served, :rejected)
    assert_equal 0, patient.stats[:rejected]
    kept.open
    waiting.each { |client| assert_equal "held", client.read_response.body }
  ensure
    [*stuck, *late, *waiting].each(&:close)
  end

  covers :queue_depth, :overflow
  test "a request waits for a place in a full queue, and is served if one becomes free in time" do |mode|
    server = serve(Apps::Basic.new, mode, workers: 1, queue_depth: 1, queue_timeout: 20)
    held = gate
    clients = Array.new(8) { Client.new(server.port).send_request("GET", "/hold?#{held.query}") }
    held.await
    eventually("all the others wait, one of them in the queue") { server.stats.values_at(:queued, :overflow) == [7, 6] }
    held.open
    clients.each { |client| assert_equal [200, "held"], client.read_response.then { |r| [r.status, r.body] } }
    assert_equal [0, 0], server.stats.values_at(:rejected, :overflow)
    assert_healthy(server)
  ensure
    clients&.each(&:close)
  end

  # The last request waits for the place of an expired one.
  test "a request behind expired ones is served once a worker is free" do |mode|
    server = serve(Apps::Basic.new, mode, workers: 1, queue_depth: 1, queue_timeout: 2)
    held = gate
    stuck = Client.new(server.port).send_request("GET", "/hold?#{held.query}")
    held.await
    Client.open(server.port) { |late| assert_equal 503, late.get("/").status }
    Client.open(server.port) do |client|
      client.send_request("GET", "/")
      eventually("it waits") { server.stats[:queued] == 1 }
      held.open
      assert_equal 200, client.read_response.status
    end
    assert_equal "held", stuck.read_response.body
  ensure
    stuck&.close
  end

  # More than two intervals, of 0.4 s each, pass.
  covers :queue_target, :shed
  test "requests that have waited in a queue that stays long get 503, and later ones are served" do |mode|
    server = serve(Apps::Basic.new, mode, workers: 1, queue_target: 0.02, queue_timeout: 3600)
    held = gate
    first = Client.new(server.port).send_request("GET", "/hold?#{held.query}")
    held.await
    late = Array.new(5) { Client.new(server.port).send_request("GET", "/") }
    eventually("they wait") { server.stats[:queued] == 5 }
    let_time_pass(mode, 1)
    held.open
    assert_equal "held", first.read_response.body
    late.each do |client|
      response = client.read_response
      assert_equal [503, "1"], [response.status, response["retry-after"]]
    end
    assert_equal [5, 5, 0], server.stats.values_at(:shed, :rejected, :queued)
    assert_healthy(server)
  ensure
    [first, *late].compact.each(&:close)
  end

  test "without queue_target, no load is shed", modes: [:threaded] do |mode|
    server = serve(Apps::Basic.new, mode, workers: 1, queue_timeout: 3600)
    held = gate
    first = Client.new(server.port).send_request("GET", "/hold?#{held.query}")
    held.await
    late = Array.new(5) { Client.new(server.port).send_request("GET", "/") }
    let_time_pass(mode, 0.2)
    held.open
    [first, *late].each { |client| assert_equal 200, client.read_response.status }
    assert_equal 0, server.stats[:shed]
  ensure
    [first, *late].compact.each(&:close)
  end

  test "two workers serve two hundred connections" do |mode|
    server = serve(Apps::Basic.new, mode, workers: 2)
    clients = Array.new(200) { Client.new(server.port) }
    3.times do
      clients.each { |client| client.send_request("GET", "/") }
      clients.each { |client| assert_equal "hello", client.read_response.body }
    end
    eventually("six hundred served") { server.stats[:served] == 600 }
  ensure
    clients&.each(&:close)
  end
end
