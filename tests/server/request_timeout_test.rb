# frozen_string_literal: true

require_relative "support/server_test"

# The option request_timeout: a handler that does not respond in time.
class RequestTimeoutTest < ServerTest
  covers :request_timeout, :timeouts
  test "a late handler costs its client a 504, and its worker nothing" do |mode|
    server = serve(Apps::Basic.new, mode, workers: 2, request_timeout: 1)
    held = gate
    Client.open(server.port) do |client|
      response = client.get("/hold?#{held.query}")
      assert_equal [504, "close"], [response.status, response["connection"]]
    end
    held.await
    assert_equal 1, server.stats[:in_flight]
    assert_equal [1, 0], server.stats.values_at(:timeouts, :rejected)
    # The other worker serves in the meantime.
    Client.open(server.port) { |client| assert_equal "hello", client.get("/").body }
    held.open
    eventually("the late handler ends") { server.stats[:in_flight].zero? }
    assert_healthy(server)
  end

  test "a response that has begun may take any time" do |mode|
    held = gate
    streaming = serve(Slow.new, mode, workers: 2, request_timeout: 1)
    Client.open(streaming.port) do |client|
      client.send_request("GET", "/?#{held.query}")
      held.await
      let_time_pass(mode, 1)
      held.open
      assert_equal "first second", client.read_response.body
    end
    assert_equal 0, streaming.stats[:timeouts]
  end

  # Streams a part, and the rest when its gate opens.
  class Slow
    def call(env)
      [200, { "content-type" => "text/plain" }, Body.new(env["QUERY_STRING"])]
    end

    class Body
      def initialize(query)
        @query = query
      end

      def each
        yield "first "
        Gate.enter(@query)
        yield "second"
      end
    end
  end
end
