# frozen_string_literal: true

require_relative "support/http2_frames"
require_relative "support/server_test"

# env["kino.request"]: deadlines, cancellation and queue time, during a request and after it.
class KinoRequestTest < ServerTest
  include HTTP2Frames

  # Its handlers write what they see to a file, because their clients may have gone.
  class App < Apps::Router
    def index(_env) = Apps.text("hello")

    def hold(env)
      Gate.enter(env["QUERY_STRING"])
      Apps.text("held")
    end

    # Extends its time, if a time is given, and holds.
    def longer(env)
      moved = env["kino.request"].extend_deadline(env["QUERY_STRING"][/by=(\d+)/, 1].to_f)
      Gate.enter(env["QUERY_STRING"])
      Apps.text("extended: #{moved}")
    end

    # What it sees when it may go on.
    def late(env)
      Gate.enter(env["QUERY_STRING"])
      request = env["kino.request"]
      App.note(env, [request.cancelled?, request.ended?, request.extend_deadline(60)].inspect)
      Apps.text("late")
    end

    # Its client leaves: what a Thread of its own is told, and what it sees then.
    def watched(env)
      request = env["kino.request"]
      App.note(env, "registered #{request.on_cancel { App.note(env, "cancelled #{request.cancelled?} #{Thread.current.name}") }}")
      Gate.enter(env["QUERY_STRING"])
      App.note(env, "on_cancel #{request.on_cancel { App.note(env, "at once") }}")
      Gate.enter(env["QUERY_STRING"])
      Apps.text("watched")
    end

    def failing(env)
      env["kino.request"].on_cancel do
        Gate.arrive(env["QUERY_STRING"])
        raise IOError, "from on_cancel"
      end
      Gate.enter(env["QUERY_STRING"])
      Apps.text("failing")
    end

    # Answers and is told of no cancellation.
    def undisturbed(env)
      10.times { env["kino.request"].on_cancel { App.note(env, "called") } }
      Thread.list.select { |one| one.name == "kino on_cancel" }.first(5).each(&:kill)
      Apps.text("undisturbed")
    end

    # Its client has left; it returns without a moment in which another Thread could run.
    def returning(env)
      request = env["kino.request"]
      Gate.arrive(env["QUERY_STRING"])
      sleep(0.001) until request.cancelled?
      request.on_cancel { App.note(env, "called") }
      Apps.text("returning")
    end

    # From Threads of the application, while they are being killed.
    def threads(env)
      request = env["kino.request"]
      busy = Array.new(2) { Thread.new { loop { [request.cancelled?, request.extend_deadline(60), request.queue_time, sleep(0)] } } }
      waiting = Array.new(4) { Thread.new { request.wait } }
      seen = Thread.new { [request.cancelled?, request.ended?, request.extend_deadline(60), request.queue_time.class] }.value
      [*busy, *waiting].each(&:kill).each(&:join)
      Apps.text(seen.inspect)
    end

    def keep(env)
      Ractor.current[:kept] = env["kino.request"]
      Apps.text("kept")
    end

    def kept(_env)
      request = Ractor.current[:kept]
      Apps.text([request.ended?, request.cancelled?, request.extend_deadline(1), request.queue_time, request.on_cancel { raise }].inspect)
    end

    def queue_time(env) = Apps.text(env["kino.request"].queue_time.to_s)

    def shared(env)
      request = env["kino.request"]
      Ractor.make_shareable(request)
      Apps.text("shareable")
    rescue Ractor::Error, TypeError => e
      Apps.text(e.class.name)
    end

    def wrong(env)
      [-> { env["kino.request"].extend_deadline(-1) }, -> { env["kino.request"].extend_deadline("x") },
       -> { env["kino.request"].on_cancel }, -> { env["kino.request"].class.new }].each do |call|
        call.call
        return Apps.text("no error")
      rescue ArgumentError, TypeError, NoMethodError
        next
      end
      Apps.text("errors")
    end

    def self.note(env, line)
      File.write(env["QUERY_STRING"][/file=([^&]+)/, 1], "#{line}\n", mode: "a")
    end
  end

  def path = File.join(directory, "notes")
  def notes = File.exist?(path) ? File.readlines(path, chomp: true) : []

  test "a handler that has extended its deadline may take longer, and others may not" do |mode|
    server = serve(App.new, mode, workers: 3, lint: false, request_timeout: 1)
    extended = gate
    late = gate
    Client.open(server.port) do |client|
      client.send_request("GET", "/longer?by=3600&#{extended.query}")
      extended.await
      # Its time would have been over before that of this one, which asks for less than it has.
      Client.open(server.port) { |other| assert_equal 504, other.get("/longer?by=0&#{late.query}").status }
      extended.open
      assert_equal "extended: true", client.read_response.body
    end
    assert_equal 1, server.stats[:timeouts]
    late.open
  end

  test "without request_timeout, there is nothing to extend, and no error" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false)
    held = gate
    held.open
    Client.open(server.port) { |client| assert_equal "extended: true", client.get("/longer?by=1&#{held.query}").body }
  end

  test "a handler whose client has got a 504 is cancelled, and its deadline cannot be moved any more" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false, request_timeout: 1)
    held = gate
    Client.open(server.port) { |client| assert_equal 504, client.get("/late?file=#{path}&#{held.query}").status }
    held.open
    eventually("the handler's note") { notes == ["[true, false, false]"] }
  end

  test "on_cancel is called once when the client leaves, at once if it has left, and in a Thread of its own" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false)
    held = gate
    client = Client.new(server.port)
    client.send_request("GET", "/watched?file=#{path}&#{held.query}")
    held.await
    assert_equal ["registered true"], notes
    client.reset
    eventually("the call") { notes.size == 2 }
    assert_equal "cancelled true kino on_cancel", notes.last
    held.pass
    eventually("the call at once") { notes.size == 4 }
    assert_equal ["at once", "on_cancel true"], notes.last(2).sort
    held.open
    assert_healthy(server)
    assert_equal 4, notes.size
  end

  test "the block of on_cancel is called if the request is cancelled already, although the handler returns at once" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false)
    held = gate
    20.times do |before|
      client = Client.new(server.port)
      client.send_request("GET", "/returning?file=#{path}&#{held.query}")
      held.await
      client.reset
      eventually("the call") { notes.size == before + 1 }
    end
    assert_healthy(server)
    assert_equal 20, notes.size
  end

  # A client may end its side together with its request.
  test "a client that closes while its handler works has given up" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false)
    held = gate
    client = Client.new(server.port)
    client.send_request("GET", "/watched?file=#{path}&#{held.query}")
    held.await
    let_time_pass(mode, 0.2)
    client.close
    eventually("the call") { notes.last == "cancelled true kino on_cancel" }
    held.open
  end

  # A stream of HTTP/2: its request, and later its end.
  test "a stream that its client resets is cancelled" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false)
    skip "the server is built without nghttp2" unless Kino::Native.settings({}).fetch(:http2)
    held = gate
    target = "/watched?file=#{path}&#{held.query}"
    block = [0x82, 0x86, 0x44].pack("C*") + length_of(target) + target + [0x41, 1].pack("CC") + "x"
    Client.open(server.port) do |client|
      client.send_raw(preface + frame(1, 5, 1, block))
      held.await
      client.send_raw(frame(3, 0, 1, [8].pack("N")))
      eventually("the call") { notes.last == "cancelled true kino on_cancel" }
      held.open
      eventually("the handler ends") { server.stats[:in_flight].zero? }
    end
  end

  # An integer of HPACK with a prefix of 7 bits.
  def length_of(text)
    return [text.bytesize].pack("C") if text.bytesize < 127

    rest = text.bytesize - 127
    rest < 128 ? [127, rest].pack("CC") : [127, 128 + rest % 128, rest / 128].pack("CCC")
  end

  test "on_cancel is not called for a request that is answered, and its Threads may be killed" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false)
    Client.open(server.port) do |client|
      20.times { assert_equal "undisturbed", client.get("/undisturbed?file=#{path}").body }
    end
    assert_healthy(server)
    assert_empty notes
    eventually("no Thread is left") { Thread.list.none? { |one| one.name == "kino on_cancel" } }
  end

  test "a block of on_cancel that raises is logged and harms nothing" do |mode|
    log = logged do
      server = serve(App.new, mode, workers: 1, lint: false)
      held = gate
      client = Client.new(server.port).send_request("GET", "/failing?#{held.query}")
      held.await
      client.reset
      held.await # the block
      held.open
      assert_healthy(server)
      eventually("its Thread ends") { Thread.list.none? { |one| one.name == "kino on_cancel" } }
    end
    assert_match(/the block of on_cancel \(.*kino_request_test\.rb:\d+\) raised: IOError: from on_cancel/, log) if mode == :threaded
  end

  test "Threads of the handler may use it, and may be killed in it" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false, request_timeout: 60)
    Client.open(server.port) { |client| 2.times { assert_equal "[false, false, true, Float]", client.get("/threads").body } }
    assert_healthy(server)
  end

  test "after the end of its request it says so, and has no effect on the next one" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false)
    Client.open(server.port) do |client|
      client.get("/keep")
      3.times { assert_equal "[true, true, false, nil, false]", client.get("/kept").body }
    end
  end

  test "queue_time is the time until a worker took the request" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false)
    held = gate
    first = Client.new(server.port).send_request("GET", "/hold?#{held.query}")
    held.await
    second = Client.new(server.port).send_request("GET", "/queue-time")
    eventually("it waits") { server.stats[:queued] == 1 }
    since = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    Client.open(server.port) { |other| assert_equal 400, other.send_raw("\r\n\r\nx\r\n\r\n").read_response.status }
    waited = Process.clock_gettime(Process::CLOCK_MONOTONIC) - since
    held.open
    assert_operator second.read_response.body.to_f, :>=, waited
    assert_equal "held", first.read_response.body
  ensure
    [first, second].compact.each(&:close)
  end

  test "queue_time counts from when a trusted proxy had the request" do |mode|
    trusting = serve(App.new, mode, workers: 1, lint: false, trusted_proxies: ["loopback"])
    hour_ago = Time.now.to_f - 3600
    fields = ["t=#{hour_ago}", "#{(hour_ago * 1000).to_i}", "t=#{(hour_ago * 1e6).to_i}"]
    Client.open(trusting.port) do |client|
      fields.each do |value|
        waited = client.get("/queue-time", headers: { "X-Request-Start" => value }).body.to_f
        assert_operator waited, :>=, 3599, value
        assert_operator waited, :<, 7200, value
      end
      future = client.get("/queue-time", headers: { "X-Request-Start" => "t=#{Time.now.to_f + 3600}" }).body.to_f
      assert_operator future, :>=, 0
      assert_operator future, :<, 3600
      assert_operator client.get("/queue-time", headers: { "X-Request-Start" => "soon" }).body.to_f, :<, 3600
    end
    Client.open(serve(App.new, mode, workers: 1, lint: false).port) do |client|
      assert_operator client.get("/queue-time", headers: { "X-Request-Start" => fields.first }).body.to_f, :<, 3600
    end
  end

  test "it belongs to its Ractor, and refuses what makes no sense" do |mode|
    server = serve(App.new, mode, workers: 1, lint: false)
    Client.open(server.port) do |client|
      assert_match(/Error\z/, client.get("/shared").body)
      assert_equal "errors", client.get("/wrong").body
    end
  end
end
