# frozen_string_literal: true

require_relative "support/server_test"

# The kino command, as used from a shell.
class CliTest < ServerTest
  KINO = File.join(Child::ROOT, "exe/kino")

  def kino(*arguments, env: {})
    Child.output(KINO, *arguments, env: env, chdir: directory)
  end

  def write(name, text)
    path = File.join(directory, name)
    FileUtils.mkdir_p(File.dirname(path))
    File.write(path, text)
    path
  end

  HELLO = <<~RUBY
    class Hello
      def call(env) = [200, { "content-type" => "text/plain" }, ["hello from \#{env["PATH_INFO"]}"]]
    end
    run Hello.new.freeze
  RUBY

  def serve_child(*arguments, env: {})
    @child = Child.kino(*arguments, env: env, chdir: directory)
  end

  def test_help_and_version_load_no_native_code
    %w[--help -h --version -v].each do |flag|
      script = "ARGV.replace([#{flag.inspect}]); at_exit { puts $LOADED_FEATURES.grep(/kino_native|kino\\/server|socket\\.so/).inspect }; load #{KINO.inspect}"
      status, output = Child.output("-e", script)
      assert_equal 0, status, output
      assert_equal "[]", output.lines.last.chomp, "#{flag} loaded native code"
    end
    # The check can fail: it finds native code where there is some.
    _, output = Child.output("-e", "require 'kino'; puts $LOADED_FEATURES.grep(/kino_native/).size")
    assert_equal "1", output.strip
  end

  def test_help_shows_every_option_with_variable_range_and_default
    status, output = kino("--help")
    assert_equal 0, status
    flat = output.gsub(/\s+/, " ")
    Kino::Options::TABLE.each do |option|
      assert_includes flat, option.long_flag
      facts = [option.env, option.range_text, "default #{option.default_text}"].compact.join("; ")
      assert_includes flat, "(#{facts})"
    end
  end

  def test_version_prints_the_versions_of_kino_and_ruby
    assert_equal [0, "kino #{Kino::VERSION} (ruby #{RUBY_VERSION})\n"], kino("--version")
  end

  def test_a_mistake_is_named_without_a_backtrace_and_exits_with_status_1
    write("config.ru", HELLO)
    write("no_app.ru", "run 5\n")
    {
      ["--wokers", "3"] => /invalid option: --wokers/,
      ["-w", "many"] => /--workers.*"many".*integer, 1 to 1024/,
      ["-w", "0"] => /--workers.*"0".*1 to 1024/,
      ["-m", "fibers"] => /--mode.*"fibers".*auto, ractor, threaded/,
      ["-p", "70000"] => /--port.*0 to 65535/,
      ["-b", "9301"] => /cannot listen on "9301": it names a port and no host; write --port 9301/,
      ["-b", "not an address"] => /cannot listen on "not an address"/,
      ["nowhere.ru"] => /no rackup file nowhere\.ru/,
      ["no_app.ru"] => /no_app\.ru runs 5, which is no Rack app/,
      ["/"] => %r{/ is a directory; name a rackup file},
      ["--init", "no/such/place.rb"] => %r{cannot write no/such/place\.rb: No such file or directory},
      ["-C", "nowhere.rb"] => /no configuration file nowhere\.rb/,
      ["a.ru", "b.ru"] => /only one rackup file/
    }.each do |arguments, message|
      status, output = kino(*arguments)
      assert_equal 1, status, arguments.inspect
      assert_match(/\Akino: /, output)
      assert_match(message, output)
      refute_match(/\.rb:\d+:in/, output, "a backtrace for #{arguments.inspect}")
    end
  end

  def test_an_app_that_raises_while_it_loads_shows_the_message_and_then_its_own_frames
    write("lib/part.rb", "module Part\n  def self.load(name)\n    Integer(name)\n  end\nend\n")
    write("config.ru", "require_relative 'lib/part'\n\nPart.load('many')\n")
    status, output = kino
    assert_equal 1, status
    first, *rest = output.lines
    # Newer Rubies show the line of the error between the message and the frames.
    frames = rest.grep(/:\d+:in /)
    assert_match(/\Akino: config\.ru raised while it was loaded: .*invalid value for Integer\(\): "many".*ArgumentError/, first)
    assert_match(%r{\A +\S*lib/part\.rb:3:in }, frames[0], output)
    assert(frames.drop(1).any? { |frame| frame.match?(/\A +\S*config\.ru:3:in /) }, output)
    refute_match(%r{kino/(cli|app)|exe/kino|rack/builder}, output)
    {
      "run Unknown.new\n" => /config\.ru raised while it was loaded: .*uninitialized constant Unknown/,
      "require 'no/such/file'\n" => /cannot load such file -- no\/such\/file/,
      "run(\n" => /config\.ru.*syntax error/mi,
      "begin; raise 'one'; rescue; raise 'two'; end\n" => /two \(RuntimeError\).*caused by one \(RuntimeError\)/m
    }.each do |text, message|
      write("config.ru", text)
      [[], ["--check"]].each do |arguments|
        status, output = kino(*arguments)
        assert_equal 1, status
        assert_match(/\Akino: config\.ru raised/, output)
        assert_match(message, output)
        refute_match(%r{kino/(cli|app)|exe/kino|rack/builder}, output)
      end
    end
  end

  def test_an_unknown_variable_is_reported_at_the_start
    write("config.ru", HELLO)
    child = serve_child("-w", "1", env: { "KINO_WOKERS" => "3", "KINO_THREADS" => "1" })
    assert_match(/^kino: unknown environment variable KINO_WOKERS; did you mean KINO_WORKERS\?$/, child.log)
    refute_match(/KINO_THREADS; /, child.log)
    child.signal("TERM")
    assert_equal 0, child.status
  end

  def test_a_missing_config_ru_is_reported_in_one_line
    status, output = kino
    assert_equal 1, status
    assert_match(/no rackup file config\.ru/, output)
    assert_equal 1, output.lines.size
  end

  covers :port
  def test_a_port_in_use_names_its_owner
    write("config.ru", HELLO)
    taken = TCPServer.new("127.0.0.1", 0)
    status, output = kino("--port", taken.addr[1].to_s)
    assert_equal 1, status
    assert_match(/cannot listen on http:\/\/127\.0\.0\.1:#{taken.addr[1]}: pid #{Process.pid} \(.+\) has it/, output)
  ensure
    taken&.close
  end

  def test_the_banner_shows_the_mode_the_settings_with_their_sources_and_the_pid
    write("config.ru", HELLO)
    child = serve_child("-w", "3", "-t", "2", env: { "KINO_QUEUE_DEPTH" => "99" })
    Client.open(child.port) { |client| assert_equal "hello from /x", client.get("/x").body }
    banner = child.log.lines.grep_v(/^kino: /)
    assert_operator banner.size, :<=, 6
    assert_match(/^kino #{Kino::VERSION} on ruby #{RUBY_VERSION}/, child.log)
    assert_match(/ractor: 3 Ractors of 2 Threads/, child.log)
    assert_match(/workers 3 \(flag\)/, child.log)
    assert_match(/queue_depth 99 \(KINO_QUEUE_DEPTH\)/, child.log)
    assert_match(/pid +#{child.pid}/, child.log)
    refute_match(/\e\[/, child.log)
    child.signal("INT")
    assert_equal 0, child.status
  end

  def test_flags_override_variables_and_both_override_the_configuration_file
    write("config/kino.rb", "workers 2\nthreads 3\nmode :threaded\nrackup 'other.ru'\nkeep_alive_timeout '5m'\n")
    write("other.ru", HELLO)
    child = serve_child("-w", "1", env: { "KINO_THREADS" => "2" })
    Client.open(child.port) { |client| assert_equal 200, client.get("/").status }
    assert_match(/threaded: 1 worker of 2 Threads/, child.log)
    assert_match(%r{keep_alive_timeout 300.* \(\S*config/kino\.rb:5\)}, child.log)
    child.signal("TERM")
    assert_equal 0, child.status
  end

  def test_a_mistake_in_a_configuration_file_names_the_line
    write("config.ru", HELLO)
    write("kino.rb", "workers 2\n\nthread 3\n")
    status, output = kino
    assert_equal 1, status
    assert_match(/kino\.rb:3: unknown option thread; did you mean threads\?/, output)
    write("kino.rb", "\nworkers 'lots'\n")
    assert_match(/kino\.rb:2: "lots" is not a valid value for workers/, kino.last)
    write("kino.rb", "workers (\n")
    assert_match(/kino\.rb is not valid Ruby/, kino.last)
    {
      "port = 3000\n" => /kino\.rb: `port = \.\.\.` sets a local variable, not the option; write `port 3000`/,
      "workers 1, 2\n" => /kino\.rb:1: workers takes one value, not 1, 2/,
      "\nport ENV.fetch('KINO_NO_SUCH_VARIABLE')\n" => /kino\.rb:2: key not found.*\(KeyError\)/,
      "\n\nrequire 'no/such/file'\n" => /kino\.rb:3: cannot load such file.*\(LoadError\)/,
      "stream_body 'upload'\n" => %r{kino\.rb:1: \["upload"\] is not a valid value for stream_body; .* a path like /upload}
    }.each do |text, message|
      write("kino.rb", text)
      status, output = kino
      assert_equal 1, status
      assert_match(message, output)
      assert_equal 1, output.lines.size, output
    end
  end

  def test_init_writes_a_file_that_works_and_overwrites_nothing
    status, output = kino("--init")
    assert_equal [0, "wrote kino.rb\n"], [status, output]
    text = File.read(File.join(directory, "kino.rb"))
    Kino::Options.names.each { |name| assert_match(/^# #{name} /, text) }
    # Every line that has a default is valid as it stands.
    active = text.lines.grep(/^# (#{Kino::Options.names.join("|")}) (?!\.\.\.)/).map { |line| line.delete_prefix("# ") }
    path = write("active.rb", active.join)
    assert_operator Kino::ConfigFile.new(path).values.size, :>, 10
    status, output = kino("--init")
    assert_equal 1, status
    assert_match(/kino\.rb already exists/, output)
    assert_equal text, File.read(File.join(directory, "kino.rb"))
  end

  def test_check_says_whether_the_app_can_run_in_ractors_and_lists_the_reasons
    write("config.ru", HELLO)
    assert_equal [0, "The app can run in Ractors.\n"], kino("--check")
    write("config.ru", "names = []\nrun(proc { |env| names << env; [200, {}, []] })\n")
    status, output = kino("--check")
    assert_equal 1, status
    assert_match(/config\.ru:2\), which uses names, an Array/, output)
    write("config.ru", "class App\n  LIST = []\n  def call(env) = [200, {}, LIST]\nend\nrun App.new.freeze\n")
    status, output = kino("--check")
    assert_equal 1, status
    assert_match(/App#call \(\S*config\.ru:3\) reads App::LIST \(\S*config\.ru:2\), which is an unfrozen Array/, output)
  end

  def test_the_example_names_the_ractor_that_responded
    child = serve_child("-m", "ractor", "-w", "4", File.join(Child::ROOT, "examples/which_ractor.ru"))
    bodies = Array.new(8) { Client.open(child.port) { |client| client.get("/").body } }
    bodies.each { |body| assert_match(/\AGET \/ answered by the Ractor "kino worker \d"\n\z/, body) }
    child.signal("TERM")
    assert_equal 0, child.status
    child = serve_child("-m", "threaded", File.join(Child::ROOT, "examples/which_ractor.ru"))
    Client.open(child.port) { |client| assert_match(/main Ractor/, client.get("/").body) }
    child.signal("TERM")
    assert_equal 0, child.status
  end

  def test_the_default_rackup_file_is_served_if_none_is_named
    example = File.join(Child::ROOT, "examples/which_ractor.ru")
    script = "require 'kino/cli'; exit Kino::CLI.start(ARGV, rackup: #{example.inspect})"
    @child = Child.ruby("-e", script, "--", "-p", "0", "-w", "2", chdir: directory)
    Client.open(@child.port) { |client| assert_match(/answered by the Ractor/, client.get("/").body) }
    @child.signal("TERM")
    assert_equal 0, @child.status
    write("kino.rb", "rackup 'other.ru'\n")
    status, output = Child.output("-e", script, "--", "-p", "0", chdir: directory)
    assert_equal 1, status
    assert_match(/no rackup file other\.ru/, output)
  end
end
