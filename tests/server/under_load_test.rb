# frozen_string_literal: true

require "tempfile"

require_relative "support/load"
require_relative "support/server_test"

# Busy servers that run out of file descriptors or are stopped. Each runs in a separate process.
class UnderLoadTest < ServerTest
  APP = File.join(__dir__, "support/counting.ru")
  FILES = 64
  CLIENTS = 24
  # The number of responses before the signal.
  WARM = 500

  def start(mode, *shell)
    kino = [RbConfig.ruby, "-W:no-experimental", File.join(Child::ROOT, "exe/kino"), "-p", "0", "-m", mode.to_s, "-w", "4", APP]
    @child = Child.new([*shell, *kino])
    @child.await_banner
    @log = @child.follow
  end

  def stop
    @child.signal("TERM")
    assert_equal 0, @child.status
    @log.join
  end

  test "if file descriptors run out, clients get 503, and later ones are served" do |mode|
    start(mode, "sh", "-c", "ulimit -n #{FILES}; exec \"$@\"", "sh")
    result = Load.new(@child.port, connections: 3 * FILES, requests: 3000).run
    assert_empty result.errors
    assert_equal [200, 503], result.statuses.keys
    # The server may not have seen yet that the clients of the load are gone.
    eventually("many descriptors are free again") { a_quarter_of_the_descriptors_serves? }
    100.times { Client.open(@child.port) { |client| assert_equal 200, client.get("/").status } }
    stop
    assert_match(/Too many open files; clients get 503/, @child.log)
  end

  test "after TERM under load, every request that reached the app gets its response" do |mode|
    start(mode)
    Tempfile.create("kino-calls") do |calls|
      responses = Thread::Queue.new
      clients = Array.new(CLIENTS) { Thread.new { request_until_the_end("/?#{calls.path}", responses) } }
      eventually("there is load") { responses.size >= WARM }
      stop
      clients.each(&:join)
      assert_equal calls.size, responses.size
      assert_equal [[200, true]], Array.new(responses.size) { responses.pop }.uniq
    end
  end

  def a_quarter_of_the_descriptors_serves?
    clients = Array.new(FILES / 4) { Client.new(@child.port) }
    clients.all? { |client| client.get("/").status == 200 }
  ensure
    clients&.each(&:close)
  end

  # Sends requests until the server no longer listens. A connection may end between two requests, or with one that the
  # server has not read.
  def request_until_the_end(path, responses)
    loop do
      Client.open(@child.port) do |client|
        loop do
          response = client.get(path)
          responses << [response.status, response.complete]
          break if response.closes?
        end
      end
    rescue Errno::ECONNREFUSED
      return
    rescue EOFError, SystemCallError
      next
    end
  end
end
