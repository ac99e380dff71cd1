# frozen_string_literal: true

require "json"
require "socket"

require_relative "support/server_test"

# syslog and journald as destinations of log lines, with sockets that stand in for the daemons.
class SystemLogTest < ServerTest
  # A bound datagram socket.
  class Daemon
    def initialize(path)
      @path = path
      start
    end

    attr_reader :path

    def start
      File.unlink(path) if File.exist?(path)
      @socket = Socket.new(:UNIX, :DGRAM).tap { |socket| socket.bind(Socket.sockaddr_un(path)) }
    end

    # The next datagram.
    def receive = @socket.recv(1 << 20)

    def stop = @socket.close
  end

  def daemon(name = "socket")
    (@daemons ||= []).push(Daemon.new(File.join(directory, name))).last
  end

  # Else the log would wait for them at its next flush.
  def teardown
    super
  ensure
    @daemons&.each(&:stop)
  end

  def get(server, path = "/")
    Client.open(server.port) { |client| client.get(path) }
  end

  # An entry of journald's protocol: a name, then "=" and a text, or a line feed, a length of 64 bits and any bytes.
  def fields(entry)
    result = {}
    until entry.empty?
      name, separator, rest = entry.partition(/[=\n]/)
      if separator == "="
        value, _, entry = rest.partition("\n")
      else
        length = rest.unpack1("Q<")
        value = rest.byteslice(8, length)
        assert_equal "\n", rest.byteslice(8 + length, 1)
        entry = rest.byteslice((9 + length)..)
      end
      result[name] = value
    end
    result
  end

  SYSLOG = /\A<(?<priority>\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?<tag>[^\[]+)\[(?<pid>\d+)\]: (?<line>.*)\z/.freeze

  covers :access_log
  test "syslog gets a message for each request, as syslog(3) writes it" do |mode|
    syslog = daemon
    server = serve(Apps::Basic.new, mode, access_log: "syslog:#{syslog.path}", access_log_format: "$status $target")
    get(server)
    message = SYSLOG.match(syslog.receive)
    assert_equal [(3 * 8) + 6, "kino", Process.pid, "200 /"],
                 [message[:priority].to_i, message[:tag], message[:pid].to_i, message[:line]]
  end

  test "facility and tag are the operator's" do |mode|
    syslog = daemon
    server = serve(Apps::Basic.new, mode, access_log: "syslog:#{syslog.path}?facility=local7&tag=shop", access_log_format: "$target")
    get(server)
    message = SYSLOG.match(syslog.receive)
    assert_equal [(23 * 8) + 6, "shop", "/"], [message[:priority].to_i, message[:tag], message[:line]]
  end

  test "journald gets an entry with fields for each request" do |mode|
    journald = daemon
    server = serve(Apps::Basic.new, mode, access_log: "journald:#{journald.path}?tag=shop", access_log_format: "json")
    get(server, "/a")
    entry = fields(journald.receive)
    line = entry.delete("MESSAGE")
    assert_equal({ "PRIORITY" => "6", "SYSLOG_FACILITY" => "3", "SYSLOG_IDENTIFIER" => "shop", "SYSLOG_PID" => Process.pid.to_s }, entry)
    assert_equal "/a", JSON.parse(line)["target"]
  end

  # Starts kino with these flags, and an access log of "$target".
  def start_child(mode, daemon, *flags)
    rackup = File.join(directory, "config.ru")
    File.write(rackup, "class App\n  def call(_env) = [200, {}, []]\nend\nrun App.new.freeze\n")
    @child = Child.kino("-m", mode.to_s, "-w", "2", "--access-log", "syslog:#{daemon.path}", *flags, rackup)
  end

  def dropped(lines, daemon) = /^kino: #{lines} log lines for syslog:#{Regexp.escape(daemon.path)} were dropped$/

  test "lines for a daemon that has gone are counted in the server's log; its successor gets the next ones" do |mode|
    syslog = daemon
    start_child(mode, syslog, "--access-log-format", "$target")
    syslog.stop
    assert_equal 200, get(@child, "/lost").status
    @child.await_line(dropped(1, syslog))
    syslog.start
    assert_equal 200, get(@child, "/found").status
    assert_equal "/found", SYSLOG.match(syslog.receive)[:line]
  end

  test "a daemon that does not read delays no request, and what it misses is counted" do |mode|
    syslog = daemon
    start_child(mode, syslog, "--max-keep-alive", "100000")
    Client.open(@child.port) do |client|
      # More than the queues of the kernel and of the log have room for.
      1500.times { assert_equal 200, client.get("/", headers: { "User-Agent" => "a" * 4000 }).status }
    end
    reader = Thread.new { loop { syslog.receive } }
    @child.await_line(dropped('\d+', syslog))
  ensure
    reader&.kill&.join
  end

  def test_a_logger_writes_to_both
    journald = daemon("journald")
    syslog = daemon("syslog")
    logger = Kino::Logger.new("journald:#{journald.path}", formatter: ->(_, _, _, text) { text })
    logger.error("two\nlines\n")
    assert_equal "two\nlines", fields(journald.receive)["MESSAGE"]
    device = Kino::Logger::Device.new("syslog:#{syslog.path}")
    Kino::Logger.new(device, formatter: ->(_, _, _, text) { text }).info("one")
    assert_equal "one", SYSLOG.match(syslog.receive)[:line]
    assert_nil device.filename
  end

  def test_all_spellings_of_a_destination_are_one_and_lines_keep_their_order
    syslog = daemon
    loggers = ["syslog:#{syslog.path}", "syslog:#{syslog.path}?facility=daemon", "syslog:#{syslog.path}?tag=kino&facility=daemon"].map do |name|
      Kino::Logger.new(name, formatter: ->(_, _, _, text) { text })
    end
    60.times { |number| loggers[number % 3].info(number.to_s) }
    assert_equal Array.new(60, &:to_s), Array.new(60) { SYSLOG.match(syslog.receive)[:line] }
  end

  def test_mistakes_are_refused_with_a_sentence
    missing = File.join(directory, "none")
    { "syslog:#{missing}" => /cannot open the access log syslog:.*none: No such file or directory; is the daemon running\?/,
      "journald:relative" => %r{a daemon is written as syslog, syslog:/path/of/socket or syslog\?},
      "syslog?facility=local8" => /a facility is one of kern, user/, "syslog?tag=a b" => /a tag has 1 to 32/,
      "journald?priority=3" => /journald has facility and tag, not priority/ }.each do |destination, message|
      error = assert_raises(Kino::ConfigError) { start_server(Apps::Basic.new.freeze, mode: :threaded, workers: 1, access_log: destination) }
      assert_match message, error.message
    end
    assert_raises(ArgumentError) { Kino::Logger.new("syslog?tag=") }
  end

  test "HUP, which opens logs again, finds the daemon again" do |mode|
    syslog = daemon
    start_child(mode, syslog, "--access-log-format", "$target")
    get(@child, "/before")
    assert_equal "/before", SYSLOG.match(syslog.receive)[:line]
    @child.signal("HUP")
    get(@child, "/after")
    assert_equal "/after", SYSLOG.match(syslog.receive)[:line]
    @child.signal("TERM")
    assert_equal 0, @child.status
  end
end
