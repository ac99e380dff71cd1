# frozen_string_literal: true

require "logger"
require "stringio"

require_relative "support/server_test"

# The log: one that cannot be written loses lines and affects nothing else; the format of its reports; rack.errors.
class LogTest < ServerTest
  APP = <<~RUBY
    class App
      def call(env)
        raise Exception, "the worker's end" if env["PATH_INFO"] == "/die"
        raise "the app's fault" if env["PATH_INFO"] == "/raise"
        env["rack.errors"].puts("x" * 8000) if env["PATH_INFO"] == "/errors"
        [200, { "content-type" => "text/plain" }, ["hello"]]
      end
    end
    run App.new.freeze
  RUBY

  def setup
    super
    File.write(File.join(directory, "config.ru"), APP)
    @socket = File.join(directory, "socket")
  end

  def teardown
    if @pid
      Process.kill("KILL", @pid)
      Process.wait(@pid)
    end
    super
  end

  # Starts kino on a Unix socket with +err+ as its standard error, and waits until it serves.
  def kino(mode, err, *options)
    @pid = Process.spawn(Child.environment, RbConfig.ruby, "-W:no-experimental", File.join(Child::ROOT, "exe/kino"), "-b", "unix://#{@socket}",
                         "-m", mode.to_s, "-w", "2", "-t", "1", *options, File.join(directory, "config.ru"),
                         out: File::NULL, err: err, in: File::NULL)
    eventually("the server listens") { File.socket?(@socket) && serves?("/") }
  end

  def serves?(path, status = 200)
    Client.open(@socket) { |client| client.get(path).status == status }
  rescue Errno::ECONNREFUSED, Errno::ENOENT
    false
  end

  # Makes every thread write to the log: the I/O thread about malformed requests, workers about errors and deaths, the app
  # with rack.errors, the supervisor about respawns, the main thread with statistics.
  def assert_serves
    200.times { Client.open(@socket) { |client| client.send_raw("BAD\x01 / \r\n\r\n").read_to_end } }
    20.times { assert serves?("/raise", 500) }
    20.times { assert serves?("/die", 500) }
    20.times { assert serves?("/errors") }
    Process.kill("USR1", @pid)
    20.times { assert serves?("/") }
  end

  def assert_ends(signal = "TERM")
    Process.kill(signal, @pid)
    _, status = Timeout.timeout(30) { Process.wait2(@pid) }
    @pid = nil
    assert_equal 0, status.exitstatus, status.inspect
    refute File.exist?(@socket)
  end

  test "a full disk does not affect the server" do |mode|
    skip "no /dev/full" unless File.exist?("/dev/full")
    kino(mode, "/dev/full")
    assert_serves
    assert_ends
  end

  test "a closed standard error does not affect the server" do |mode|
    kino(mode, :close)
    assert_serves
    assert_ends
  end

  test "a pipe whose reader has gone does not affect the server" do |mode|
    reader, writer = IO.pipe
    kino(mode, writer)
    writer.close
    reader.close
    assert_serves
    assert_ends
  end

  test "a full pipe without a reader does not affect the server, and dropped lines are reported when it is read" do |mode|
    reader, writer = IO.pipe
    begin
      loop { writer.write_nonblock("x" * 4096) }
    rescue IO::WaitWritable
      writer.write_nonblock("x" * 10, exception: false)
    end
    kino(mode, writer)
    writer.close
    # More than the log's buffer holds.
    8.times { assert_serves }
    text = +""
    Timeout.timeout(30) { text << reader.readpartial(65_536) until text.match?(/^kino: \d+ log lines were dropped$/) }
    assert_match(/listening unix/, text)
    assert_ends
  ensure
    reader&.close
  end

  test "lines of Ruby and of native threads keep their order" do |mode|
    server = serve(Apps::Basic.new, mode)
    log = logged do
      20.times do |n|
        Kino::Log.line("mark #{n}")
        Client.open(server.port) { |client| client.send_raw("BAD\x01 /#{n} \r\n\r\n").read_to_end }
      end
    end
    marks = log.lines.map { |line| line[/mark \d+/] || "refused" }
    assert_equal (0...20).flat_map { |n| ["mark #{n}", "refused"] }, marks, log
  end

  # rack.errors.

  # Writes in every way that IO offers.
  class Complaints
    def call(env)
      errors = env["rack.errors"]
      errors.write("a", :b, 1, "\n")
      errors << "c" << 2 << "\n"
      errors.print("d\n")
      errors.puts
      errors.puts("e\n", ["f", ["g"]], nil)
      errors.printf("%05d\n", 42)
      errors.flush
      [200, { "content-type" => "text/plain" }, [[errors.write("é\n"), Ractor.shareable?(errors)].inspect]]
    end
  end

  test "rack.errors writes to the log as an IO would" do |mode|
    server = serve(Complaints.new, mode, lint: false)
    body = nil
    log = logged { Client.open(server.port) { |client| body = client.get("/").body } }
    assert_equal "[3, true]", body, log
    assert_equal "ab1\nc2\nd\n\ne\nf\ng\n\n00042\né\n", log.force_encoding("UTF-8")
  end

  def test_rack_errors_writes_to_an_object_assigned_to_stderr
    out = StringIO.new
    with_stderr(out) { Kino::ErrorStream::SHARED.puts("captured") }
    assert_equal "captured\n", out.string
  end

  def test_rack_errors_takes_strings_of_several_encodings_at_once
    out = StringIO.new
    with_stderr(out) do
      Kino::ErrorStream::SHARED.puts("é", "\xff".b)
      Kino::ErrorStream::SHARED.write("é", "\xff".b, nil)
    end
    assert_equal "é\n\xff\né\xff".b, out.string.b
  end

  def test_a_logger_writes_to_rack_errors
    out = StringIO.new
    logger = Logger.new(Kino::ErrorStream::SHARED, formatter: ->(severity, _, _, text) { "#{severity} #{text}\n" })
    with_stderr(out) { logger.error("logged") }
    logger.close
    with_stderr(out) { Kino::ErrorStream::SHARED.puts("still open") }
    assert_equal "ERROR logged\nstill open\n", out.string
  end

  # Embedded, with $stderr replaced.

  def with_stderr(object)
    saved = $stderr
    $stderr = object
    yield
  ensure
    $stderr = saved
  end

  def test_lines_go_to_an_object_assigned_to_stderr
    out = StringIO.new
    with_stderr(out) { Kino::Log.line("captured") }
    assert_equal "kino: captured\n", out.string
  end

  def test_an_object_assigned_to_stderr_may_raise_anything
    [IOError, NotImplementedError, NoMemoryError, SystemStackError].each do |error|
      out = Object.new
      out.define_singleton_method(:write) { |*| raise error }
      with_stderr(out) do
        assert_nil Kino::Log.line("lost")
        assert_nil Kino::Log.error("lost", RuntimeError.new("x"))
      end
    end
    closed = IO.pipe.each(&:close).last
    with_stderr(closed) { assert_nil Kino::Log.line("lost") }
  end

  # Reports of errors.

  def report(error)
    out = StringIO.new
    with_stderr(out) { Kino::Log.error("GET / raised", error) }
    out.string
  end

  def raised
    yield
  rescue StandardError, SystemStackError => e
    e
  end

  def deep(levels) = levels.zero? ? raise("at the bottom") : deep(levels - 1)

  def test_a_deep_recursion_is_reported_with_head_and_tail
    text = report(raised { deep(5000) })
    assert_operator text.lines.size, :<, 60
    assert_match(/\.\.\. \d+ more \.\.\./, text)
    assert_match(/at the bottom/, text.lines.first)
    assert_operator text.lines.grep(/log_test\.rb.*deep/).size, :>=, 20
    assert_match(/log_test\.rb:\d+:in .*raised/, text, "the tail must show where the recursion began")
  end

  def test_a_long_chain_of_causes_is_cut
    error = nil
    60.times do |n|
      error = raised { error ? raise(RuntimeError, "level #{n}", cause: error) : raise("level #{n}") }
    end
    text = report(error)
    assert_equal Kino::ErrorReport::CAUSES_SHOWN, text.scan("caused by").size
    assert_match(/and further causes/, text)
  end

  def test_a_message_cannot_forge_a_line_or_control_a_terminal
    text = report(RuntimeError.new("first\nkino: forged\e[31m\r\x7f"))
    refute_match(/^kino: forged/, text)
    refute_match(/[\e\r\x7f]/, text)
  end

  def test_a_message_of_any_bytes_and_length_is_reported
    ["\xff\xfe".b, "\xff invalid", "héllo".encode("UTF-16LE"), "x" * 1_000_000].each do |message|
      text = report(RuntimeError.new(message))
      assert text.valid_encoding?
      assert_match(/\Akino: GET \/ raised: RuntimeError: /, text)
      assert_operator text.bytesize, :<, 10_000
    end
  end
end
