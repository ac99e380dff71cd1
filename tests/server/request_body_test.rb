# frozen_string_literal: true

require_relative "support/server_test"

# Request bodies: every framing, every way of reading them, back-pressure and limits.
class RequestBodyTest < ServerTest
  TEN_MEGABYTES = 10 << 20
  FULL_DISK = File.join(__dir__, "support/full_disk.ru")

  # Reads rack.input in the way that the path selects.
  class Readers < Apps::Router
    def index(_env)
      Apps.text("hello")
    end

    def pieces(env)
      input = env["rack.input"]
      buffer = +""
      Apps.text([input.read(3), input.read(4, buffer), buffer.dup, input.read(0), input.read, input.read,
                 input.read(1)].inspect)
    end

    def lines(env)
      lines = []
      while (line = env["rack.input"].gets)
        lines << line
      end
      Apps.text(lines.inspect)
    end

    def each(env)
      bytes = +""
      env["rack.input"].each { |chunk| bytes << chunk }
      Apps.text(bytes)
    end

    def encoding(env)
      Apps.text(env["rack.input"].read.encoding.to_s)
    end

    def raising(env)
      env["rack.input"].read
      Apps.text("read it all")
    rescue IOError => e
      Apps.text(e.class.name, 413)
    end

    # Does not rescue the error.
    def trusting(env)
      Apps.text(env["rack.input"].read.bytesize.to_s)
    end

    # Whether Ruby refuses to pass the input to another Ractor, in each of the three ways.
    def sharing(env)
      input = env["rack.input"]
      other = Ractor.new { nil }
      ways = [
        -> { Ractor.make_shareable(input) },
        -> { other.send(input) },
        -> { other.send(input, move: true) }
      ]
      refused = ways.map do |way|
        way.call
        false
      rescue Ractor::Error, TypeError
        true
      end
      Apps.text([Ractor.shareable?(input), refused, input.read].inspect)
    end

    def closing(env)
      env["rack.input"].close
      Apps.text("closed")
    end
  end

  def checksum(bytes)
    "#{bytes.bytesize} #{bytes.sum(32) & 0xffffffff}"
  end

  test "a body with a length reaches the app unchanged" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      ["x", "", "\0\xff\r\n".b, "y" * 70_000].each do |body|
        assert_equal body.b, client.request("POST", "/echo", body: body).body.b
      end
    end
  end

  test "a chunked body reaches the app decoded" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      [["a"], %w[abc de f], [], ["z" * 100_000, "y"]].each do |chunks|
        assert_equal chunks.join, client.request("POST", "/echo", body: chunks).body
      end
    end
  end

  # Around the sizes at which the server reads directly into the body's buffer, or into a file.
  SIZES = [16_384, 65_536, 131_072].flat_map { |size| [size - 300, size - 1, size, size + 1, size + 300] }.freeze

  test "bodies of all sizes arrive unchanged, one by one and pipelined" do |mode|
    server = serve(Apps::Basic.new, mode)
    bodies = SIZES.map { |size| Random.new(size).bytes(size) }
    Client.open(server.port) do |client|
      bodies.each { |body| assert_equal body.hash, client.request("POST", "/echo", body: body).body.b.hash, body.bytesize }
      bodies.each_slice(3) do |slice|
        sender = Thread.new { slice.each { |body| client.send_request("POST", "/digest", body: body) } }
        slice.each { |body| assert_equal checksum(body), client.read_response.body }
        sender.join
      end
      assert_equal "hello", client.get("/").body
    end
  end

  test "bodies of all sizes arrive unchanged in two parts" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      SIZES.each do |size|
        body = Random.new(size).bytes(size)
        [1, 8192, size - 1].each do |first|
          client.send_raw("POST /digest HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: #{size}\r\n\r\n")
          assert_equal 100, client.read_response.status
          client.send_raw(body.byteslice(0, first))
          client.send_raw(body.byteslice(first..))
          assert_equal checksum(body), client.read_response.body
        end
      end
    end
  end

  test "chunk extensions and trailers are accepted and not part of the body" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      client.send_raw("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" \
                      "3;name=value\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n")
      assert_equal "abc", client.read_response.body
      assert_equal "hello", client.get("/").body
    end
  end

  test "rack.input has read, gets and each" do |mode|
    server = serve(Readers.new, mode)
    Client.open(server.port) do |client|
      assert_equal ["abc", "defg", "defg", "", "hij", "", nil].inspect,
                   client.request("POST", "/pieces", body: "abcdefghij").body
      assert_equal ["one\n", "\n", "three"].inspect, client.request("POST", "/lines", body: "one\n\nthree").body
      assert_equal "a" * 50_000, client.request("POST", "/each", body: ["a" * 25_000] * 2).body
      assert_equal "ASCII-8BIT", client.request("POST", "/encoding", body: "x").body.sub("BINARY", "ASCII-8BIT")
    end
  end

  test "a missing body reads as empty" do |mode|
    server = serve(Readers.new, mode)
    Client.open(server.port) do |client|
      assert_equal [nil, nil, "", "", "", "", nil].inspect, client.get("/pieces").body
      assert_equal "[]", client.get("/lines").body
      assert_equal "", client.get("/each").body
    end
  end

  test "ten megabytes with a length arrive unchanged" do |mode|
    server = serve(Apps::Basic.new, mode)
    body = Random.new(1).bytes(TEN_MEGABYTES)
    Client.open(server.port) do |client|
      assert_equal checksum(body), client.request("POST", "/digest", body: body).body
      assert_equal 200, client.get("/").status
    end
  end

  test "ten megabytes in chunks arrive unchanged" do |mode|
    server = serve(Apps::Basic.new, mode)
    body = Random.new(2).bytes(TEN_MEGABYTES)
    chunks = []
    0.step(body.bytesize - 1, 99_991) { |at| chunks << body.byteslice(at, 99_991) }
    Client.open(server.port) do |client|
      assert_equal checksum(body), client.request("POST", "/digest", body: chunks).body
      assert_equal 200, client.get("/").status
    end
  end

  test "a streamed body that the app does not read yet blocks its client instead of filling memory" do |mode|
    server = serve(Apps::Basic.new, mode, io_threads: 1, stream_body: ["/"])
    held = gate
    size = 40 << 20
    Client.open(server.port) do |client|
      client.send_raw("POST /sink?#{held.query} HTTP/1.1\r\nHost: x\r\nContent-Length: #{size}\r\n\r\n")
      sent = 0
      piece = "x" * (256 << 10)
      # The thread that would read serves other requests, each after it has looked at all connections. Once it has served
      # a hundred and the kernel still accepts nothing, it has stopped reading.
      served = 0
      Client.open(server.port) do |other|
        while sent < size && served < 100
          written = client.socket.write_nonblock(piece, exception: false)
          if written == :wait_writable
            assert_equal 200, other.get("/").status
            served += 1
          else
            sent += written
            served = 0
          end
        end
      end
      assert_operator sent, :<, size / 2, "the server read #{sent} bytes ahead of the handler"
      held.await(2)
      held.open
      client.send_raw("x" * (size - sent))
      assert_equal size.to_s, client.read_response.body
      assert_equal 200, client.get("/").status
    end
  end

  test "a body that the handler ignores does not confuse the next request" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      assert_equal "ignored", client.request("POST", "/ignore", body: "GET /evil HTTP/1.1\r\nHost: x\r\n\r\n").body
      assert_equal "hello", client.get("/").body
    end
    # The server may read a large rest to its end or close the connection, but must never parse it as a request.
    Client.open(server.port) do |client|
      client.send_raw("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
      client.send_raw("GET /evil HTTP/1.1\r\nHost: x\r\n\r\n".ljust(200_000))
      response = client.read_response
      assert_equal "ignored", response.body
      if response.closes?
        assert_equal "", client.read_to_end
      else
        assert_equal "hello", client.get("/").body
      end
    rescue Errno::ECONNRESET, Errno::EPIPE
      # Closed while the rest was being sent.
      assert_equal "ignored", response.body if response
    end
    assert_healthy(server)
  end

  test "a handler may close its input" do |mode|
    server = serve(Readers.new, mode)
    Client.open(server.port) do |client|
      assert_equal "closed", client.request("POST", "/closing", body: "abc").body
      assert_equal "hello", client.get("/").body
    end
  end

  test "a client that expects 100-continue gets it before it sends the body" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      2.times do
        client.send_raw("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert_equal 100, client.read_response.status
        client.send_raw("abc")
        response = client.read_response
        assert_equal [200, "abc"], [response.status, response.body]
      end
    end
  end

  test "100-continue is not sent to HTTP 1.0, nor for an unknown expectation" do |mode|
    server = serve(Apps::Basic.new, mode)
    Client.open(server.port) do |client|
      client.send_raw("POST /echo HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc")
      assert_equal 200, client.read_response.status
    end
    Client.open(server.port) do |client|
      client.send_raw("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: tea\r\n\r\n")
      assert_includes [400, 417], client.read_response.status
    end
  end

  covers :max_body_size
  test "a length over the limit gets 413 and does not reach the app" do |mode|
    server = serve(Apps::Basic.new, mode, max_body_size: 1000)
    Client.open(server.port) do |client|
      assert_equal 200, client.request("POST", "/echo", body: "x" * 1000).status
      client.send_raw("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n")
      response = client.read_response
      assert_equal 413, response.status
      assert response.closes?
    end
    assert_equal 1, server.stats[:served]
    assert_healthy(server)
  end

  test "a small chunked body over the limit gets 413" do |mode|
    server = serve(Apps::Basic.new, mode, max_body_size: 1000)
    Client.open(server.port) do |client|
      client.send_raw("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
      client.send_chunk("x" * 1001)
      assert_equal 413, client.read_response.status
    end
    assert_healthy(server)
  end

  test "a streamed body over the limit makes reading raise" do |mode|
    server = serve(Readers.new, mode, max_body_size: 200_000, stream_body: ["/"])
    Client.open(server.port) do |client|
      client.send_raw("POST /raising HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
      begin
        30.times { client.send_chunk("x" * 10_000) }
      rescue Errno::EPIPE, Errno::ECONNRESET
        nil
      end
      response = client.read_response
      assert_equal 413, response.status
      assert_equal "Kino::BodyError", response.body
    end
    assert_healthy(server)
  end

  test "a client's error that the handler does not rescue gets the status of that error" do |mode|
    broken = {
      413 => ["a" * 100_000, "b" * 100_001],
      400 => ["a" * 100_000, :nonsense],
      408 => ["a" * 100_000]
    }
    broken.each do |status, chunks|
      # Only the one that stops sending has little time.
      server = serve(Readers.new, mode, max_body_size: 200_000, body_timeout: status == 408 ? 0.2 : 3600, stream_body: ["/"])
      log = logged do
        Client.open(server.port) do |client|
          client.send_raw("POST /trusting HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
          chunks.each { |chunk| chunk == :nonsense ? client.send_raw("nonsense\r\n") : client.send_chunk(chunk) }
          assert_equal status, client.read_response.status
          assert client.closed_by_server?
        end
      end
      assert_equal 1, log.lines.size, log
      assert_match(/: #{status}, /, log)
      assert_healthy(server)
    end
  end

  test "rack.input cannot be passed to another Ractor" do |mode|
    server = serve(Readers.new, mode, lint: false)
    Client.open(server.port) do |client|
      assert_equal [false, [true, true, true], "abc"].inspect, client.request("POST", "/sharing", body: "abc").body
    end
  end

  [nil, ["/"]].each do |streamed|
    covers :body_timeout
    test "a #{"streamed " if streamed}body that stops arriving ends with 408" do |mode|
      server = serve(Apps::Basic.new, mode, workers: 1, body_timeout: 0.2, header_timeout: 3600, stream_body: streamed)
      Client.open(server.port) do |client|
        log = logged do
          client.send_raw("POST /digest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n#{"x" * 100_000}")
          assert_equal 408, client.read_response.status
          assert_healthy(server)
        end
        assert_equal 1, log.lines.size, log
        assert_match(/body_timeout/, log)
      end
    end

    covers :min_body_rate
    test "a #{"streamed " if streamed}body that arrives too slowly ends with 408" do |mode|
      # The server without a minimum rate waits for the same client; that upload is the older one.
      servers = [0, 1 << 30].map do |rate|
        serve(Apps::Basic.new, mode, workers: 1, min_body_rate: rate, rate_grace: 0.1, stream_body: streamed)
      end
      clients = servers.map do |server|
        Client.new(server.port).send_raw("POST /digest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
      end
      patient, client = clients
      log = logged do
        # Byte by byte, until the server responds.
        clients.each { |one| one.send_chunk("x") } until IO.select([client.socket], nil, nil, 0.01)
        assert_equal 408, client.read_response.status
        assert_healthy(servers.last)
        assert_equal 200, patient.send_raw("0\r\n\r\n").read_response.status
      end
      assert_equal 1, log.lines.size, log
      assert_match(/min_body_rate/, log)
    ensure
      clients&.each(&:close)
    end
  end

  covers :rate_grace
  test "the minimum rate applies only after rate_grace" do |mode|
    # The request to the patient server is the older one.
    servers = [3600, 0.1].map { |grace| serve(Apps::Basic.new, mode, min_body_rate: 1 << 30, rate_grace: grace) }
    clients = servers.map do |server|
      Client.new(server.port).send_raw("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    end
    patient, hasty = clients
    sent = 0
    logged do
      until IO.select([hasty.socket], nil, nil, 0.01)
        clients.each { |client| client.send_chunk("x") }
        sent += 1
      end
    end
    assert_equal 408, hasty.read_response.status
    patient.send_raw("0\r\n\r\n")
    assert_equal "x" * sent, patient.read_response.body
  ensure
    clients&.each(&:close)
  end

  covers :body_buffer
  test "a body is kept in memory up to body_buffer, the rest in a file" do |mode|
    skip "no /proc/self/fd" unless File.directory?("/proc/self/fd")
    server = serve(Apps::Basic.new, mode, body_buffer: 16 << 10)
    files = lambda do
      Dir["/proc/self/fd/*"].count do |path|
        File.readlink(path).end_with?(" (deleted)")
      rescue Errno::ENOENT
        nil # closed meanwhile
      end
    end
    before = files.call
    held = gate
    [[16 << 10, 0], [40_000, 1]].each do |size, more|
      Client.open(server.port) do |client|
        client.send_request("POST", "/hold?#{held.query}", body: "x" * size)
        held.await
        assert_equal before + more, files.call, "with a body of #{size} bytes"
        held.pass
        assert_equal "held", client.read_response.body
      end
    end
  end

  # More uploads than workers, each larger than its buffer in memory.
  test "slow uploads occupy no worker and arrive unchanged" do |mode|
    server = serve(Apps::Basic.new, mode, workers: 2, min_body_rate: 0)
    size = 70_000
    slow = Array.new(20) do
      Client.new(server.port).send_raw("POST /digest HTTP/1.1\r\nHost: x\r\nContent-Length: #{size + 2}\r\n\r\n#{"x" * size}")
    end
    2.times do
      Client.open(server.port) { |client| 20.times { assert_equal "hello", client.get("/").body } }
      slow.each { |client| client.send_raw("y") }
    end
    slow.each { |client| assert_equal checksum("#{"x" * size}yy"), client.read_response.body }
    assert_healthy(server)
  ensure
    slow&.each(&:close)
  end

  covers :stream_body
  test "a streamed request reaches its worker before its body has arrived" do |mode|
    server = serve(Apps::Basic.new, mode, stream_body: ["/sink", "application/x-stream"])
    steps = gate
    Client.open(server.port) do |client|
      client.send_raw("POST /sink?#{steps.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
      steps.await(2)
      client.send_raw("ab")
      steps.open
      assert_equal "2", client.read_response.body
    end
  end

  test "the partial body of a client that disconnects is discarded" do |mode|
    server = serve(Apps::Basic.new, mode)
    logged do
      before = Dir.children("/proc/self/fd").size if File.directory?("/proc/self/fd")
      slow = Array.new(10) do
        Client.new(server.port).send_raw("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n#{"x" * 199_999}")
      end
      # This one is sent last, so when it has its response, the server has received the others.
      Client.open(server.port) { |client| assert_equal 200, client.request("POST", "/echo", body: "x" * 199_999).status }
      slow.each(&:close)
      eventually("no connection is left") { server.stats[:connections].zero? }
      eventually("only the file for all bodies is left") { Dir.children("/proc/self/fd").size <= before + 1 } if before
    end
    assert_equal 1, server.stats[:served]
  end

  test "a chunked body that was collected has a CONTENT_LENGTH and no transfer coding" do |mode|
    server = serve(Apps::Basic.new, mode, stream_body: ["/env/streamed"])
    Client.open(server.port) do |client|
      { ["abc", "defg"] => "7", [] => "0", ["x" * 100_000] => "100000" }.each do |chunks, length|
        env = client.request("POST", "/env", body: chunks).body.lines(chomp: true)
        assert_includes env, "CONTENT_LENGTH=#{length}"
        refute_includes env.join("\n"), "HTTP_TRANSFER_ENCODING"
      end
    end
  end

  test "a body for which there is no space gets 507 and a line in the log, and the next one is served", modes: [:threaded] do
    # A limit for the files of the child only; a write beyond it fails as on a full disk.
    skip "this system has no limit of file sizes" unless Process.const_defined?(:RLIMIT_FSIZE)
    child = Child.kino("-m", "threaded", "--body-buffer", "16k", FULL_DISK)
    Client.open(child.port) do |client|
      client.send_request("POST", "/", body: "x" * 100_000)
      response = client.read_response
      assert_equal [507, "close"], [response.status, response["connection"]]
      assert client.closed_by_server?
    end
    Client.open(child.port) { |client| assert_equal "10000", client.request("POST", "/", body: "x" * 10_000).body }
    child.signal("TERM")
    assert_equal 0, child.status
    assert_equal 1, child.log.scan(/: 507, /).size, child.log
  ensure
    child&.finish
  end

  test "short bodies that arrive slowly occupy no worker" do |mode|
    server = serve(Apps::Basic.new, mode, workers: 1)
    slow = Array.new(10) { Client.new(server.port).send_raw("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab") }
    Client.open(server.port) { |client| assert_equal 200, client.get("/").status }
    slow.each { |client| client.send_raw("cd") }
    slow.each { |client| assert_equal "abcd", client.read_response.body }
  ensure
    slow&.each(&:close)
  end
end
