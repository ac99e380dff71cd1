# frozen_string_literal: true

require "pathname"
require "rack/common_logger"
require "rack/mock_request"

require_relative "support/server_test"

# Kino::Logger and its Device: loggers whose callers never wait.
class LoggerTest < ServerTest
  def path(name = "app.log") = File.join(directory, name)

  def text(name = "app.log")
    Kino::Log.flush(LIMIT)
    File.read(path(name))
  end

  def test_it_logs_as_a_logger_of_ruby_does
    ours = Kino::Logger.new(path, level: :info, progname: "app", datetime_format: "%Y")
    theirs = Logger.new(path("other.log"), level: :info, progname: "app", datetime_format: "%Y")
    [ours, theirs].each do |logger|
      logger.debug("hidden")
      logger.info("shown")
      logger.warn { "block" }
      logger.error("prog") { :symbol }
      logger.fatal(nil)
      logger.add(Logger::UNKNOWN, "é\xff", "p")
      logger << "raw\n"
      logger.level = Logger::ERROR
      logger.info("hidden")
      logger.close
    end
    ordinary = File.readlines(path("other.log")).reject { |line| line.start_with?("# Logfile created") }
    assert_equal ordinary.join.b, text.b
    assert_equal Logger::ERROR, ours.level
  end

  def test_nil_and_the_null_device_log_nothing
    [nil, File::NULL].each do |nowhere|
      logger = Kino::Logger.new(nowhere)
      assert logger.info("lost")
      logger << "lost"
      logger.reopen
      assert_nil logger.close
    end
  end

  def test_a_destination_is_a_stream_a_path_a_file_or_a_device
    device = Kino::Logger::Device.new(path)
    File.open(path, "a") do |file|
      [path, Pathname(path), file, device].each { |destination| Kino::Logger.new(destination).info("to #{destination.class}") }
    end
    assert_equal %w[String Pathname File Kino::Logger::Device], text.lines.map { |line| line[/to (\S+)/, 1] }
    assert_equal [path, path, nil], [device.name, device.filename, device.dev]
    assert_equal [$stdout, nil], [Kino::Logger::Device.new.dev, Kino::Logger::Device.new.filename]
    { STDOUT => "stdout", STDERR => "stderr", :stdout => "stdout", "stderr" => "stderr" }.each do |destination, name|
      assert_equal name, Kino::Logger::Device.new(destination).name
    end
    [StringIO.new, 1, :other, IO.pipe.last, Object.new].each do |wrong|
      error = assert_raises(ArgumentError, wrong.inspect) { Kino::Logger.new(wrong) }
      assert_match(/writes to \$stdout, \$stderr, syslog, journald or the path of a file/, error.message)
    end
    assert_raises(Errno::ENOENT) { Kino::Logger.new("/no/such/directory/x") }
    assert_raises(Errno::EISDIR) { Kino::Logger.new(directory) }
  end

  def test_a_device_is_frozen_shareable_and_writes_whole_lines
    device = Kino::Logger::Device.new(path)
    assert device.frozen? && Ractor.shareable?(device)
    assert_equal 4, device.write("a", :b, "\nc")
    device << "d" << "e\n"
    device.puts("f", ["g"])
    device.printf("%02d", 7)
    device.print("é", "\xff".b)
    assert_equal "ab\nc\nd\ne\nf\ng\n07\né\xff\n".b, text.b
    refute device.tty?
  end

  def test_an_error_is_logged_with_all_its_causes_without_frames_that_they_share
    error = nil
    begin
      begin
        begin
          raise KeyError, "first"
        rescue KeyError
          raise IOError, "second"
        end
      rescue IOError
        raise "third\nforged"
      end
    rescue StandardError => e
      error = e
    end
    Kino::Logger.new(path).error(error)
    logged = text
    assert_match(/^E, \[.*\] ERROR -- : RuntimeError: third\n    forged\n    .*logger_test\.rb/, logged)
    assert_match(/^  caused by IOError: second\n(?:    .*\n)+  caused by KeyError: first\n/, logged)
    assert_match(/^    \.\.\. \d+ more as above \.\.\.$/, logged)
    assert_equal 1, logged.scan(/`run'|#run'/).size.clamp(0, 1), "the frames of the test framework appear once"
    assert_operator logged.lines.size, :<, 60
  end

  # As ActiveSupport::TaggedLogging and BroadcastLogger use a logger.
  module Tagged
    def call(severity, time, progname, message)
      super(severity, time, progname, "[tag] #{message}")
    end
  end

  def test_it_can_be_cloned_extended_and_formatted
    logger = Kino::Logger.new(path, formatter: Kino::Logger::Formatter.new)
    tagged = logger.clone
    tagged.formatter = tagged.formatter.clone
    tagged.formatter.extend(Tagged)
    tagged.info("tagged")
    logger.info("plain")
    Kino::Logger.new(path, formatter: ->(severity, *, message) { "#{severity} #{message}" }).info("line")
    logged = text.lines
    assert_match(/\[tag\] tagged$/, logged[0])
    assert_match(/ : plain$/, logged[1])
    assert_equal "INFO line\n", logged[2]
  end

  def test_rack_common_logger_writes_to_a_device_and_to_a_logger
    [Kino::Logger::Device.new(path), Kino::Logger.new(path)].each do |log|
      app = Rack::CommonLogger.new(->(_) { [200, {}, ["x"]] }, log)
      app.call(Rack::MockRequest.env_for("/logged")).last.close
    end
    assert_equal 2, text.scan(%r{"GET /logged [^"]*" 200}).size
  end

  def test_other_loggers_write_to_a_device
    logger = Logger.new(Kino::Logger::Device.new(path), formatter: ->(*, message) { "#{message}\n" })
    logger.info("through")
    logger.close
    logger = Logger.new(Kino::Logger::Device.new(path))
    logger.info("still open")
    assert_match(/\Athrough\n.*still open\n\z/, text)
  end

  # Logs in every request.
  class Chatty
    def initialize(logger) = @logger = logger

    def call(env)
      @logger.info("request #{env["PATH_INFO"]}")
      begin
        raise "caught"
      rescue StandardError => e
        @logger.error(e)
      end
      Apps.text("logged")
    end
  end

  test "a shared logger works in handlers, and every line is whole" do |mode|
    logger = Ractor.make_shareable(Kino::Logger.new(path, level: :info))
    server = serve(Chatty.new(logger), mode, workers: 4)
    10.times.map do |n|
      Thread.new { Client.open(server.port) { |client| 50.times { |i| assert_equal 200, client.get("/#{n}-#{i}").status } } }
    end.each(&:join)
    server.shutdown
    requests = text.lines.filter_map { |line| line[/\AI, \[\S+ #\d+\]  INFO -- : request (\S+)\n\z/, 1] }
    assert_equal (0...10).flat_map { |n| (0...50).map { |i| "/#{n}-#{i}" } }.sort, requests.sort
    assert_equal 500, text.scan(/ERROR -- : RuntimeError: caught$/).size
  end

  def test_an_app_with_a_shared_logger_runs_in_ractors_by_itself
    logger = Ractor.make_shareable(Kino::Logger.new(path))
    assert_equal :ractor, Kino::Server.new(Chatty.new(logger).freeze).mode
  end

  # Each worker makes its own logger for a shared device.
  class OwnLogger
    def initialize(device) = @device = device

    def call(_env)
      logger = Kino::Logger.new(@device)
      logger.level = :warn
      logger.info("hidden")
      logger.warn("own")
      Apps.text("logged")
    end
  end

  test "a handler makes its own logger for a shared device" do |mode|
    server = serve(OwnLogger.new(Kino::Logger::Device.new(path)), mode)
    Client.open(server.port) { |client| assert_equal 200, client.get("/").status }
    assert_match(/\AW, .*WARN -- : own\n\z/, text)
  end

  test "a renamed file is continued under its name, by reopen_logs or reopen" do |mode|
    logger = Kino::Logger.new(path)
    server = serve(Apps::Basic.new, mode)
    logger.info("first")
    text
    [-> { server.reopen_logs }, -> { logger.reopen }].each_with_index do |reopen, n|
      File.rename(path, path("app.#{n}"))
      reopen.call
      logger.info("line #{n}")
      assert_match(/line #{n}\n\z/, text)
    end
    logger.reopen(path("other.log"))
    logger.info("elsewhere")
    assert_match(/elsewhere\n\z/, text("other.log"))
  end

  def test_lines_are_written_at_the_end_of_a_process_and_by_its_children
    status, output = Child.output("-W:no-experimental", "-e", <<~RUBY)
      require "kino"
      logger = Kino::Logger.new(#{path.dump}, formatter: ->(*, message) { "\#{message}\\n" })
      logger.info("parent")
      Kino::Log.flush(60)
      child = fork { logger.info("child") }
      Process.wait(child)
      1000.times { |n| logger.info("line \#{n}") }
    RUBY
    assert_equal [0, ""], [status, output]
    assert_equal ["parent", "child", *(0...1000).map { |n| "line #{n}" }], File.readlines(path, chomp: true)
  end
end
