# frozen_string_literal: true

require "digest"
require "open3"

require_relative "support/tls"

# Bodies that are files (to_path): native code sends them, from wherever they begin, and anything that is not exactly the
# rest of a regular file is enumerated.
class FileBodyTest < TLSServerTest
  # Enumerating it would give something else.
  class Body
    def initialize(path, &each)
      @path = path
      @each = each
    end

    attr_reader :closed

    def to_path = @path

    def each(&block)
      @each ? @each.call(block) : yield("enumerated")
    end

    def close
      @closed = true
    end
  end

  def setup
    super
    @file = File.join(directory, "file")
    @text = Random.new(7).bytes(3_000_017)
    File.binwrite(@file, @text)
  end

  # A server whose app returns what the block does; the bodies it has returned.
  def answer(**options, &block)
    @bodies = []
    app = lambda do |_env|
      status, headers, body = block.call
      @bodies << body
      [status, headers, body]
    end
    start_server(app, mode: :threaded, workers: 2, threads: 1, **options)
  end

  def get(server)
    Client.open(server.port) { |client| client.get("/") }
  end

  def assert_is_file(response, text = @text)
    assert_equal [200, text.bytesize.to_s], [response.status, response["content-length"]]
    assert_equal Digest::SHA256.hexdigest(text), Digest::SHA256.hexdigest(response.body)
  end

  def test_the_file_is_sent_and_the_body_is_not_enumerated_but_closed
    [{}, { "content-length" => @text.bytesize.to_s }].each do |headers|
      server = answer { [200, headers, Body.new(@file)] }
      assert_is_file get(server)
      eventually("it is closed") { @bodies.first.closed }
      assert_healthy(server)
    end
  end

  def test_the_number_of_objects_does_not_depend_on_the_length
    server = answer { [200, {}, Body.new(@file)] }
    made = [100, 20 << 20].map do |length|
      File.binwrite(@file, "x" * length)
      count = 3.times.map do
        before = GC.stat(:total_allocated_objects)
        text, = Open3.capture2("curl", "-sS", "-m", "30", "http://127.0.0.1:#{server.port}/", "-o", File::NULL, "-w", "%{size_download}")
        assert_equal length.to_s, text
        eventually("it is over") { server.stats[:in_flight].zero? }
        GC.stat(:total_allocated_objects) - before
      end
      count.min
    end
    # The pieces that a body yields usually have 16 KiB: 1,280 Strings. The polling of this test makes some objects, too.
    assert_operator made[1] - made[0], :<, 640
  end

  def test_what_is_not_the_whole_file_is_enumerated
    length = { "content-length" => "10" }
    { part: [206, length, Body.new(@file)], other_length: [200, length, Body.new(@file)], no_file: [200, length, Body.new(directory)],
      gone: [200, length, Body.new("#{@file}.gone")], no_path: [200, length, Body.new(nil)], without_size: [200, length, Body.new("/proc/self/stat")] }
      .each do |name, response|
      server = answer { response }
      assert_equal "enumerated", get(server).body, name
    end
  end

  def test_a_file_with_fewer_bytes_than_its_size_says_is_enumerated
    path = "/sys/kernel/mm/transparent_hugepage/enabled"
    skip "this system has no sysfs" unless File.readable?(path)

    server = answer { [200, {}, File.open(path)] }
    assert_equal File.read(path), get(server).body, path
    server = answer { [200, {}, Body.new(path)] }
    assert_equal "enumerated", get(server).body, path
  end

  def test_a_file_of_holes_is_sent
    File.truncate(@file, 0)
    File.truncate(@file, 1_000_000)
    server = answer { [200, {}, Body.new(@file)] }
    assert_is_file get(server), "\0" * 1_000_000
  end

  def test_an_open_file_is_sent_as_it_is_even_if_another_one_has_its_name
    server = answer do
      file = File.open(@file)
      File.binwrite("#{@file}.new", "x" * @text.bytesize)
      File.rename("#{@file}.new", @file)
      [200, {}, file]
    end
    response = get(server)
    assert_equal Digest::SHA256.hexdigest(@text), Digest::SHA256.hexdigest(response.body)
  end

  def test_an_open_file_is_sent_from_where_it_is
    server = answer { [200, {}, File.open(@file).tap { |file| file.seek(1_000_000) }] }
    assert_is_file get(server), @text.byteslice(1_000_000..)
  end

  def test_head_sends_nothing_of_it
    server = answer { [200, {}, Body.new(@file)] }
    Client.open(server.port) do |client|
      assert_equal "", client.request("HEAD", "/").body
      assert_is_file client.get("/")
    end
  end

  # The client has read the head and a little; the rest is no longer there.
  def test_a_file_that_becomes_shorter_cuts_the_connection
    File.binwrite(@file, "x" * (200 << 20))
    exchanges = File.join(directory, "exchanges")
    logged(/has become shorter while it was sent.*#{Regexp.escape(@file)}/) do
      server = answer(access_log: exchanges, access_log_format: "$path $end") { [200, {}, Body.new(@file)] }
      client = Client.new(server.port)
      client.send_request("GET", "/").read_head
      File.truncate(@file, 1)
      assert_raises(EOFError, Errno::ECONNRESET) { client.read_exactly(200 << 20) }
      client.close
      eventually("it is over") { server.stats[:in_flight].zero? }
      eventually("it counts as cut") { Kino::Log.flush(1) || true and File.read(exchanges) == "/ cut\n" }
    end
  end

  def test_no_worker_waits_for_a_slow_client
    File.binwrite(@file, @text * 20)
    server = answer(max_response_temp_file: 0) { [200, {}, Body.new(@file)] }
    client = Client.new(server.port)
    client.send_request("GET", "/").read_head
    eventually("the worker is free") { server.stats[:in_flight].zero? }
    refute_empty open_files
    assert_equal Digest::SHA256.hexdigest(@text * 20), Digest::SHA256.hexdigest(client.read_exactly(@text.bytesize * 20))
    eventually("it is closed") { open_files.empty? }
    assert_is_file client.get("/"), @text * 20
  ensure
    client&.close
  end

  # The descriptors of this process that lead to the file.
  def open_files
    Dir.children("/proc/self/fd").select do |number|
      File.readlink("/proc/self/fd/#{number}").delete_suffix(" (deleted)") == @file
    rescue SystemCallError
      false # it has been closed
    end
  end

  def test_a_file_is_closed_when_its_client_goes_away
    File.binwrite(@file, @text * 20)
    server = answer { [200, {}, Body.new(@file)] }
    clients = Array.new(3) { Client.new(server.port).send_request("GET", "/") }
    clients.each { |client| client.read_exactly(100_000) }
    refute_empty open_files
    clients.each(&:close)
    eventually("it is closed") { open_files.empty? }
    assert_healthy(server)
  end

  def test_a_file_that_is_replaced_is_sent_as_it_was
    File.binwrite(@file, @text * 20)
    server = answer { [200, {}, Body.new(@file)] }
    client = Client.new(server.port)
    client.send_request("GET", "/").read_head
    File.binwrite("#{@file}.new", "other")
    File.rename("#{@file}.new", @file)
    assert_equal Digest::SHA256.hexdigest(@text * 20), Digest::SHA256.hexdigest(client.read_exactly(@text.bytesize * 20))
    assert_is_file client.get("/"), "other"
  ensure
    client&.close
  end

  def test_what_is_no_regular_file_is_enumerated
    File.mkfifo("#{@file}.pipe")
    ["#{@file}.pipe", "/dev/zero"].each do |path|
      server = answer { [200, { "content-length" => "10" }, Body.new(path)] }
      assert_equal "enumerated", get(server).body, path
    end
  end

  def test_a_server_that_stops_sends_the_rest
    File.binwrite(@file, @text * 20)
    server = answer { [200, {}, Body.new(@file)] }
    client = Client.new(server.port)
    client.send_request("GET", "/").read_head
    stopping = Thread.new { server.shutdown(timeout: 20) }
    assert_equal Digest::SHA256.hexdigest(@text * 20), Digest::SHA256.hexdigest(client.read_exactly(@text.bytesize * 20))
    stopping.value
  ensure
    client&.close
  end

  # Files of lengths around those at which something else happens, read in pieces of any size, by clients that may leave.
  def test_any_files_and_any_clients
    seed = Integer(ENV.fetch("SEED", 11))
    random = Random.new(seed)
    text = @text * 2
    edges = [1, 131_072, 262_144, 524_287, 524_288, 524_289, 786_432, 1_048_576, 3_000_017]
    server = answer { [200, {}, File.open(@file).tap { |file| file.seek(@text.bytesize * 2 - @length) }] }
    File.binwrite(@file, text)
    client = nil
    60.times do
      client ||= Client.new(server.port)
      @length = (edges.sample(random: random) + random.rand(-2..2)).clamp(1, text.bytesize)
      if random.rand(8).zero?
        assert_equal "", client.request("HEAD", "/").body
        next
      end
      head = client.send_request("GET", "/").read_head
      assert_equal @length.to_s, head["content-length"], "seed #{seed}"
      rest = random.rand(6).zero? ? random.rand(@length) : @length
      got = +""
      got << client.read_exactly([1 + random.rand(200_000), rest - got.bytesize].min) while got.bytesize < rest
      assert got == text.byteslice(-@length, rest), "#{rest} bytes of #{@length}, seed #{seed}"
      client = client.close && nil if rest < @length
    end
    client&.close
    eventually("all are closed") { open_files.empty? }
  end

  def test_ractors_send_files
    server = start_server(Ractor.make_shareable(ShareableApp.new(@file)), mode: :ractor, workers: 2)
    assert_is_file get(server)
  end

  class ShareableApp
    def initialize(path)
      @path = path
    end

    def call(_env) = [200, {}, Body.new(@path)]
  end

  def test_http2_and_tls_send_the_same
    plain = answer { [200, {}, Body.new(@file)] }
    calls = [["--http2-prior-knowledge", "http://127.0.0.1:#{plain.port}/"]]
    if Identity.usable?
      secure = answer(bind: "https://127.0.0.1", tls: Identity.new("localhost").write(directory)) { [200, {}, Body.new(@file)] }
      calls << ["-k", "--http1.1", "https://127.0.0.1:#{secure.port}/"] << ["-k", "--http2", "https://127.0.0.1:#{secure.port}/"]
    end
    calls.each do |call|
      text, status = Open3.capture2("curl", "-sS", "-m", "30", *call, binmode: true)
      assert_predicate status, :success?
      assert_equal Digest::SHA256.hexdigest(@text), Digest::SHA256.hexdigest(text), call.first
    end
  end

  def test_x_accel_redirect_and_x_sendfile_reach_the_proxy
    %w[x-accel-redirect x-sendfile].each do |name|
      server = answer { [200, { name => "/secret/file", "content-length" => "0" }, []] }
      response = get(server)
      assert_equal ["/secret/file", ""], [response[name], response.body]
    end
  end
end
