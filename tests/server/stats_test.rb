# frozen_string_literal: true

require_relative "support/server_test"

# The numbers a server tells of itself: what a client has read is counted, never a moment later.
class StatsTest < ServerTest
  ROUNDS = 100

  # One answer of each kind.
  class Answers < Apps::Basic
    def stream(_env)
      [200, { "content-type" => "text/plain" }, %w[a b c].each]
    end

    def sized(_env)
      [200, { "content-type" => "text/plain", "content-length" => "3" }, %w[a b c].each]
    end

    def callable(_env)
      [200, { "content-type" => "text/plain" }, proc { |stream| stream << "abc" }]
    end

    def raising(_env)
      raise "as it should"
    end

    # Cut off after its first chunk.
    def half(_env)
      [200, { "content-type" => "text/plain" }, Enumerator.new { |out| out << "a"; raise "as it should" }]
    end

    # The body is all there, its handler is not done.
    def lingering(env)
      query = env["QUERY_STRING"]
      [200, { "content-type" => "text/plain", "content-length" => "1" }, Enumerator.new { |out| out << "a"; Gate.enter(query) }]
    end
  end

  %w[/ /stream /sized /callable /raising].each do |path|
    test "an answer to #{path} that has been read is counted" do |mode|
      server = serve(Answers.new, mode)
      logged do
        Client.open(server.port) do |client|
          1.upto(ROUNDS) do |n|
            client.get(path)
            stats = server.stats
            assert_equal n, stats[:served]
            assert_equal n, stats[:worker_status].sum { |worker| worker[:served] }
          end
        end
      end
    end
  end

  test "a refusal that has been read is counted, and not as served" do |mode|
    server = serve(Answers.new, mode)
    logged do
      1.upto(ROUNDS) do |n|
        Client.open(server.port) { |client| assert_equal 400, client.send_raw("GET / HTTP/1.1\r\n\r\n").read_response.status }
        assert_equal [n, 0], server.stats.values_at(:refused, :served)
      end
    end
  end

  test "an answer that was cut off counts once" do |mode|
    server = serve(Answers.new, mode)
    logged do
      Client.open(server.port) { |client| refute client.get("/half").complete }
      eventually("one served") { server.stats[:served] == 1 }
      Client.open(server.port) { |client| client.get("/") }
    end
    assert_equal 2, server.stats[:served]
  end

  test "a worker is in flight until it is done, whatever its client has read" do |mode|
    server = serve(Answers.new, mode)
    held = gate
    Client.open(server.port) do |client|
      assert_equal "a", client.get("/lingering?#{held.query}").body
      held.await
      assert_equal [1, 1], server.stats.values_at(:served, :in_flight)
      held.open
      eventually("none in flight") { server.stats[:in_flight].zero? }
      assert_equal 1, server.stats[:served]
    end
  end
end
