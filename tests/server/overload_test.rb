# frozen_string_literal: true

require_relative "support/server_test"

# More requests than workers and queue can hold.
class OverloadTest < ServerTest
  test "a full queue answers 503 with Retry-After and never touches the app" do |mode|
    server = serve(Apps::Basic.new, mode, workers: 1, queue_depth: 2, queue_timeout: 0.2)
    held = gate
    clients = [Client.new(server.port).send_request("GET", "/hold?#{held.query}")]
    held.await
    clients += Array.new(2) { Client.new(server.port).send_request("GET", "/hold?#{held.query}") }
    eventually("the queue is full") { server.stats[:queued] == 2 }
    rejected = Client.new(server.port)
    response = rejected.get("/hold?#{held.query}")
    assert_equal 503, response.status
    assert_match(/\A\d+\z/, response["retry-after"])
    assert_equal 1, server.stats[:rejected]
    held.open
    clients.each { |client| assert_equal "held", client.read_response.body }
    # The app saw the three that were accepted and no other.
    eventually("three served") { server.stats[:served] == 3 }
    assert_healthy(server)
  ensure
    [*clients, rejected].compact.each(&:close)
  end

  test "a request waits for a place in the queue and is served when one comes free in time" do |mode|
    server = serve(Apps::Basic.new, mode, workers: 1, queue_depth: 1, queue_timeout: 20)
    held = gate
    clients = Array.new(8) { Client.new(server.port).send_request("GET", "/hold?#{held.query}") }
    held.await
    eventually("all the others wait") { server.stats[:queued] == 7 }
    held.open
    clients.each { |client| assert_equal [200, "held"], client.read_response.then { |r| [r.status, r.body] } }
    assert_equal 0, server.stats[:rejected]
    assert_healthy(server)
  ensure
    clients&.each(&:close)
  end

  test "many more connections than workers" do |mode|
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
