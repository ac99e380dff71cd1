# frozen_string_literal: true

require_relative "support/server_test"

# More slow clients than workers: all other clients get their responses. More of them need a dedicated machine:
#     KINO_SLOW_UPLOADERS=5000 KINO_SLOW_READERS=1000 tests/run server -- -R slow_clients
class SlowClientsTest < ServerTest
  UPLOADERS = ENV.fetch("KINO_SLOW_UPLOADERS", "60").to_i
  READERS = ENV.fetch("KINO_SLOW_READERS", "20").to_i
  WORKERS = 8
  APP = File.join(__dir__, "support/slow_clients.ru")
  SENT = 70_000

  def teardown
    @clients&.each(&:close)
    @child&.signal("KILL")
    @reader&.join
    super
  end

  def start(mode, *options)
    @child = Child.kino("-m", mode.to_s, "-w", WORKERS.to_s, "-t", "1", "--queue-timeout", "60", *options, APP)
    @clients = []
    # Each aborted connection is a line in the log, and thousands of lines do not fit into a pipe.
    @reader = @child.follow
  end

  # Each request has its own connection, so none waits for the response to another.
  def assert_others_are_served
    50.times { Client.open(@child.port) { |client| assert_equal [200, "hello"], client.get("/").then { |r| [r.status, r.body] } } }
  end

  def open_files
    Dir.children("/proc/#{@child.pid}/fd").size
  end

  # Whether the server has aborted the connection, found out without reading from it.
  def reset?(client)
    client.socket.getsockopt(Socket::SOL_SOCKET, Socket::SO_ERROR).int == Errno::ECONNRESET::Errno
  end

  # Kilobytes.
  def memory
    File.read("/proc/#{@child.pid}/status")[/^VmRSS:\s+(\d+)/, 1].to_i
  end

  test "slow uploads occupy no worker, and all share one file" do |mode|
    start(mode, "--body-buffer", "16k", "--min-body-rate", "0")
    proc = File.directory?("/proc/#{@child.pid}")
    assert_others_are_served
    files, memory_before = open_files, memory if proc
    UPLOADERS.times do
      head = "POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: #{SENT + 3}\r\n\r\n"
      @clients << Client.new(@child.port).send_raw(head + "x" * SENT)
    end
    2.times do
      assert_others_are_served
      @clients.each { |client| client.send_raw("y") }
    end
    if proc
      eventually("a socket for each, and one file") { open_files - files <= UPLOADERS + 1 }
      # Twice the buffer, for the allocator's overhead, and 16 MiB for the rest of the server.
      assert_operator memory - memory_before, :<=, 2 * 16 * UPLOADERS + 16_384, "kilobytes"
    end
    @clients.each { |client| client.send_raw("y") }
    @clients.each { |client| assert_equal (SENT + 3).to_s, client.read_response.body }
  end

  test "uploads below the minimum rate get 408" do |mode|
    start(mode, "--min-body-rate", "1g", "--rate-grace", "100ms")
    UPLOADERS.times do
      @clients << Client.new(@child.port).send_raw("POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
    end
    assert_others_are_served
    @clients.each { |client| assert_equal 408, client.read_response.status }
  end

  covers :max_response_temp_file
  test "slow readers of responses that fit into the file occupy no worker" do |mode|
    start(mode, "--min-response-rate", "0", "--max-response-temp-file", "64m")
    READERS.times { @clients << Client.new(@child.port).send_request("GET", "/long") }
    assert_others_are_served
    @clients.each { |client| assert_equal 10 << 20, client.read_response.body.bytesize }
    assert_others_are_served
  end

  test "slow readers of responses in one piece take little memory" do |mode|
    start(mode, "--min-response-rate", "0")
    assert_others_are_served
    proc = File.directory?("/proc/#{@child.pid}")
    before = memory if proc
    READERS.times { @clients << Client.new(@child.port).send_request("GET", "/whole") }
    @clients.each { |client| assert client.socket.wait_readable(Client::WAIT), "it has begun" }
    assert_others_are_served
    assert_operator memory - before, :<=, 512 * READERS + 16_384, "kilobytes" if proc
    @clients.each { |client| assert_equal 10 << 20, client.read_response.body.bytesize }
  end

  # Each response occupies a worker until it is aborted.
  test "readers below the minimum rate are disconnected" do |mode|
    start(mode, "--max-response-temp-file", "0", "--min-response-rate", "1g", "--rate-grace", "100ms")
    READERS.times { @clients << Client.new(@child.port).send_request("GET", "/endless") }
    assert_others_are_served
    @clients.each { |client| eventually("a reset") { reset?(client) } }
    assert_others_are_served
    lines = -> { @child.log.scan("more slowly than min_response_rate").size }
    eventually("each is logged") { lines.call >= READERS }
    @child.signal("KILL")
    @reader.join
    assert_equal READERS, lines.call
  end
end
