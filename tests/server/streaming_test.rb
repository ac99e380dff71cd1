# frozen_string_literal: true

require_relative "support/bodies"
require_relative "support/server_test"

# Streamed responses: flushing of chunks, back-pressure, and bodies that fail.
class StreamingTest < ServerTest
  # Streams of all kinds.
  class Streams < Bodies::Routes
    def nothing(env)
      [200, Apps::TEXT.dup, Bodies::Pieces.new([], env["QUERY_STRING"])]
    end

    def call_unclosed(_env)
      [200, Apps::TEXT.dup, proc { |stream| stream.write("left open") }]
    end

    # Echoes each piece as it arrives, in capital letters.
    def duplex(_env)
      body = proc do |stream|
        while (piece = stream.read(4))
          stream.write(piece.upcase)
          stream.flush
        end
        stream.close
      end
      [200, { "content-type" => "application/octet-stream" }, body]
    end

    def step(env)
      query = env["QUERY_STRING"]
      body = Enumerator.new do |out|
        3.times do |n|
          out << "piece #{n}"
          Gate.enter(query)
        end
      end
      [200, Apps::TEXT.dup, body]
    end

    def big_stream(_env)
      [200, { "content-type" => "application/octet-stream" }, Enumerator.new { |out| 160.times { out << ("0123456789abcdef" * 4096) } }]
    end

    def endless(env)
      query = env["QUERY_STRING"]
      body = Enumerator.new do |out|
        Gate.arrive(query)
        loop { out << ("x" * 65_536) }
      ensure
        Gate.arrive(query)
      end
      [200, { "content-type" => "application/octet-stream" }, body]
    end

    def half(env)
      [200, Apps::TEXT.dup, Bodies::Pieces.new(["half", :raise], env["QUERY_STRING"])]
    end

    def half_sized(env)
      [200, Apps::TEXT.merge("content-length" => "100"), Bodies::Pieces.new(["half", :raise], env["QUERY_STRING"])]
    end

    def half_call(_env)
      [200, Apps::TEXT.dup, proc { |stream| stream.write("half"); stream.flush; raise "the body broke" }]
    end

    def raise_first(env)
      [200, Apps::TEXT.dup, Bodies::Pieces.new([:raise], env["QUERY_STRING"])]
    end

    def raise_first_call(_env)
      [200, Apps::TEXT.dup, proc { |_stream| raise "the body broke" }]
    end

    # Writes one piece and then computes until the client has read that piece.
    def compute(env)
      query = env["QUERY_STRING"]
      body = Enumerator.new do |out|
        out << "first"
        compute_until_written(query)
        out << "last"
      end
      [200, Apps::TEXT.dup, body]
    end

    # Like compute, with a callable body.
    def call_compute(env)
      query = env["QUERY_STRING"]
      body = proc do |stream|
        stream << "first"
        compute_until_written(query)
        stream << "last"
      end
      [200, Apps::TEXT.dup, body]
    end

    # The first piece is written by another thread than the worker's, which ends before the body does.
    def thread(env)
      query = env["QUERY_STRING"]
      body = proc do |stream|
        Thread.new { stream << "first" }.join
        Gate.enter(query)
        stream << "last"
      end
      [200, Apps::TEXT.dup, body]
    end

    # Forks a child between two pieces, which blocks as its parent would.
    def fork(_env)
      body = Enumerator.new do |out|
        # Otherwise fork flushes them, which blocks and thereby sends the piece before there is a child.
        $stdout.flush
        $stderr.flush
        out << "first"
        Process.wait(Process.fork { IO.select(nil, nil, nil, 0.01) || exit!(0) })
        out << "last"
      end
      [200, Apps::TEXT.dup, body]
    end

    # Writes nothing, and ends when its client has disconnected.
    def patient(env)
      query = env["QUERY_STRING"]
      body = proc do |stream|
        stream.flush
        Gate.arrive(query)
        IO.select(nil, nil, nil, 0.005) until stream.closed?
        Gate.arrive(query)
      end
      [200, Apps::TEXT.dup, body]
    end

    # One piece of every size.
    def sizes(_env)
      [200, Apps::TEXT.dup, Enumerator.new { |out| StreamingTest.sizes.each { |size| out << ("x" * size) } }]
    end

    private

    # Makes no call that releases the GVL, as even read_nonblock does.
    def compute_until_written(query)
      File.open(query[/file=([^&]+)/, 1]) do |file|
        file.seek(0, IO::SEEK_END) until file.pos.positive?
      end
    end
  end

  def self.sizes
    (0..17).flat_map { |power| [1, (2**power) - 1, 2**power, (2**power) + 1] }
  end

  test "enumerable bodies are streamed and closed" do |mode|
    server = serve(Streams.new, mode)
    closed = gate
    Client.open(server.port) do |client|
      response = client.get("/enumerable?#{closed.query}")
      assert_equal %w[onetwothree chunked], [response.body, response["transfer-encoding"]]
      closed.await
      response = client.get("/sized?#{closed.query}")
      assert_equal ["onetwothree", ["11"], nil], [response.body, response.all("content-length"), response["transfer-encoding"]]
      closed.await
      assert_equal "", client.get("/nothing?#{closed.query}").body
      closed.await
    end
  end

  test "each piece of an enumerable body is sent when it is produced" do |mode|
    server = serve(Streams.new, mode)
    steps = gate
    Client.open(server.port) do |client|
      client.send_request("GET", "/step?#{steps.query}")
      client.read_head
      3.times do |n|
        assert_equal "piece #{n}", client.read_chunk
        steps.await
        steps.pass
      end
      assert_nil client.read_chunk
    end
  end

  test "callable bodies are sent whether they close the stream or not" do |mode|
    server = serve(Streams.new, mode)
    Client.open(server.port) do |client|
      assert_equal "onetwothree", client.get("/call-body").body
      assert_equal "left open", client.get("/call-unclosed").body
      assert_equal "hello", client.get("/").body
    end
  end

  test "a callable body reads and writes at the same time" do |mode|
    server = serve(Streams.new, mode, stream_body: ["/duplex"])
    Client.open(server.port) do |client|
      client.send_raw("POST /duplex HTTP/1.1\r\nHost: x\r\nContent-Length: 80000\r\n\r\n")
      # More than the server buffers; the rest follows piece by piece.
      client.send_raw("abcd" * 19_990)
      assert_equal 200, client.read_head.status
      got = +""
      got << client.read_chunk while got.bytesize < 4 * 19_990
      assert_equal "ABCD" * 19_990, got
      10.times do |n|
        client.send_raw("wxy#{n}")
        got = +""
        got << client.read_chunk while got.bytesize < 4
        assert_equal "WXY#{n}", got
      end
      assert_nil client.read_chunk
      assert_equal "hello", client.get("/").body
    end
  end

  test "a client that does not read blocks the body that writes to it" do |mode|
    server = serve(Streams.new, mode)
    ends = gate
    client = Client.new(server.port)
    client.send_request("GET", "/endless?#{ends.query}")
    ends.await
    # The body is endless: only a write that raises ends its handler.
    client.read_exactly(1 << 20)
    assert_equal 1, server.stats[:in_flight]
    client.reset
    ends.await
    assert_healthy(server)
  end

  test "a stream is closed once its client has disconnected, with or without a reset" do |mode|
    server = serve(Streams.new, mode, lint: false)
    steps = gate
    logged do
      %i[close reset].each do |disconnect|
        client = Client.new(server.port)
        client.send_request("GET", "/patient?#{steps.query}")
        client.read_head
        steps.await
        # The server takes an end of stream within 100 ms after a request for a half-close, whose client still reads.
        let_time_pass(mode, 0.11)
        client.public_send(disconnect)
        steps.await
      end
    end
    assert_healthy(server)
  end

  # More slow clients than workers, because each occupies one.
  covers :min_response_rate
  test "the connection of a client that reads too slowly is aborted, and the body that writes to it gets an error" do |mode|
    # The server without a minimum rate waits for the same client; that response is the older one.
    patient, server = [0, 1 << 30].map do |rate|
      serve(Streams.new, mode, workers: 2, max_response_temp_file: 0, min_response_rate: rate, rate_grace: 0.1,
                               body_timeout: 3600)
    end
    ends, goes_on = gate, gate
    log = logged do
      reader = Client.new(patient.port).send_request("GET", "/endless?#{goes_on.query}")
      goes_on.await
      slow = Array.new(4) { Client.new(server.port).send_request("GET", "/endless?#{ends.query}") }
      # Four handlers have begun, and a write that raised has ended each.
      ends.await(8)
      assert_healthy(server)
      refute goes_on.arrived?
      [reader, *slow].each(&:close)
      goes_on.await
    end
    assert_equal 4, log.scan("min_response_rate").size, log
  end

  test "a body that raises half-way aborts the connection" do |mode|
    server = serve(Streams.new, mode, workers: 1)
    closed = gate
    log = logged do
      ["/half?#{closed.query}", "/half-sized?#{closed.query}", "/half-call"].each do |path|
        Client.open(server.port) do |client|
          response = client.get(path)
          assert_equal 200, response.status
          refute response.complete, "#{path} looks complete"
        end
      end
      closed.await(2)
      # Served by the same worker, which has logged the earlier errors by then.
      assert_healthy(server)
    end
    assert_equal 3, log.scan("the body broke").size
  end

  test "a body that raises before its first piece becomes a 500, and the connection stays open" do |mode|
    server = serve(Streams.new, mode)
    closed = gate
    logged do
      Client.open(server.port) do |client|
        assert_equal 500, client.get("/raise-first?#{closed.query}").status
        closed.await
        assert_equal 500, client.get("/raise-first-call").status
        assert_equal "hello", client.get("/").body
      end
    end
  end

  test "an HTTP 1.0 client gets the stream without chunks, ended by the close" do |mode|
    server = serve(Streams.new, mode)
    Client.open(server.port) do |client|
      response = client.get("/enumerable?", version: "HTTP/1.0", headers: { "Connection" => "keep-alive" })
      assert_nil response["transfer-encoding"]
      assert_equal "onetwothree", response.body
      assert client.closed_by_server?
    end
  end

  # Buffered pieces are flushed by Ruby's thread events, or by the timer alone.
  [true, false].each do |events|
    test "a piece is sent while its body waits for the client, #{events ? "with" : "without"} thread events" do |mode|
      server = serve(Streams.new, mode, run_permits: events)
      steps = gate
      Client.open(server.port) do |client|
        20.times do
          client.send_request("GET", "/step?#{steps.query}")
          client.read_head
          3.times do |n|
            assert_equal "piece #{n}", client.read_chunk
            steps.pass
          end
          assert_nil client.read_chunk
        end
      end
    end

    %w[compute call-compute thread].each do |path|
      test "the first piece of #{path} is sent before the body ends, #{events ? "with" : "without"} thread events" do |mode|
        server = serve(Streams.new, mode, lint: false, run_permits: events)
        go_on = gate
        Client.open(server.port) do |client|
          5.times do |n|
            file = File.join(directory, n.to_s).tap { |name| File.write(name, "") }
            client.send_request("GET", "/#{path}?#{go_on.query}&file=#{file}")
            client.read_head
            assert_equal "first", client.read_chunk
            path == "thread" ? go_on.pass : File.write(file, "read")
            assert_equal "last", client.read_chunk
            assert_nil client.read_chunk
          end
        end
      end
    end
  end

  # Ruby forks in the main Ractor only.
  test "a forked child does not send what its parent has written", modes: [:threaded] do |mode|
    server = serve(Streams.new, mode)
    Client.open(server.port) do |client|
      client.send_request("GET", "/fork")
      client.read_head
      assert_equal %w[first last], [client.read_chunk, client.read_chunk]
      assert_nil client.read_chunk
      assert_equal "hello", client.get("/").body
    end
  end

  test "pieces of all sizes are sent in order, also in pipelined responses" do |mode|
    server = serve(Streams.new, mode)
    expected = StreamingTest.sizes.sum
    Client.open(server.port) do |client|
      assert_equal expected, client.get("/sizes").body.bytesize
      client.send_raw("GET /sizes HTTP/1.1\r\nHost: x\r\n\r\nGET /enumerable? HTTP/1.1\r\nHost: x\r\n\r\n" * 8)
      8.times do
        assert_equal expected, client.read_response.body.bytesize
        assert_equal "onetwothree", client.read_response.body
      end
    end
  end

  test "ten megabytes are sent piece by piece, unchanged" do |mode|
    server = serve(Streams.new, mode)
    expected = "0123456789abcdef" * (10 << 16)
    Client.open(server.port) do |client|
      assert_equal expected.hash, client.get("/big-stream").body.hash
      assert_equal "hello", client.get("/").body
    end
  end
end
