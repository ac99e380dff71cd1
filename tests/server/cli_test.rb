# frozen_string_literal: true

require "json"
require "open3"
require "shellwords"

require_relative "support/server_test"
require "kino/config/command_line"
require "kino/config/template"

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

  # With the gem: samples/rails/test/rails_test.rb.
  def test_rails_needs_its_gem
    write("config.ru", HELLO)
    expected = "kino: --rails needs the gem kino-rails: add it to the Gemfile, or require \"kino/rails\" after \"rails\"\n"
    assert_equal [1, expected], kino("--rails")
  end

  def test_help_is_printed_even_beside_mistakes
    [["--help"], ["-w", "many", "--wokers", "-h"]].each do |arguments|
      assert_equal [0, Kino::CommandLine.help], kino(*arguments)
    end
  end

  def test_an_output_that_cannot_be_written_is_reported
    skip "this system has no /dev/full" unless File.exist?("/dev/full")

    ["--help", "--version"].each do |flag|
      status, output = Child.output("-e", "$stdout.reopen('/dev/full', 'w'); ARGV.replace([#{flag.inspect}]); load #{KINO.inspect}")
      assert_equal [1, "kino: cannot write the output: No space left on device\n"], [status, output]
    end
  end

  def test_version_prints_the_versions_of_kino_and_ruby
    assert_equal [0, "kino #{Kino::VERSION} (ruby #{RUBY_VERSION})\n"], kino("--version")
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
      "run(\n" => /\Akino: config\.ru raised while it was loaded: \(SyntaxError\)\nconfig\.ru:.*syntax error.*[^\n]\n\z/mi,
      "begin; raise 'one'; rescue; raise 'two'; end\n" => /two \(RuntimeError\).*caused by one \(RuntimeError\)/m
    }.each do |text, message|
      write("config.ru", text)
      { [] => 1, ["--check"] => 2 }.each do |arguments, expected|
        status, output = kino(*arguments)
        assert_equal expected, status
        assert_match(/\Akino: config\.ru raised/, output)
        assert_match(message, output)
        refute_match(%r{kino/(cli|app)|exe/kino|rack/builder}, output)
      end
    end
  end

  def test_a_rackup_file_uses_racks_middleware_without_requiring_it
    write("config.ru", "use Rack::Static, urls: ['/public']\n#{HELLO}")
    assert_match(/\AThe app /, kino("--check").last)
  end

  def test_a_ruby_file_serves_the_constant_that_it_is_named_after
    write("my_app.rb", "class MyApp\n  def self.call(env) = [200, {}, [env.fetch('PATH_INFO')]]\nend\n")
    %w[my_app.rb ./my_app.rb].each { |path| assert_equal [0, "The app can run in Ractors.\n"], kino("--check", path) }
    write("my_app.rb", "OurApp = 1\n")
    assert_match(/\Akino: my_app\.rb raised while it was loaded: uninitialized constant MyApp/, kino("my_app.rb").last)
  end

  def test_an_unknown_variable_is_reported_at_the_start
    write("config.ru", HELLO)
    child = serve_child("-w", "1", env: { "KINO_WOKERS" => "3", "KINO_THREADS" => "1" })
    assert_match(/^kino: unknown environment variable KINO_WOKERS; did you mean KINO_WORKERS\?$/, child.log)
    refute_match(/KINO_THREADS; /, child.log)
    child.signal("TERM")
    assert_equal 0, child.status
  end

  covers :environment
  def test_the_environment_is_that_of_a_flag_or_a_variable_else_rack_env_else_that_of_the_file
    write("config.ru", "abort ENV['RACK_ENV'].inspect\n")
    file = "environment :staging\n"
    [
      ["nil", "", [], {}], ['"test"', "", [], { "RACK_ENV" => "test" }], ['"staging"', file, [], {}], ['"test"', file, [], { "RACK_ENV" => "test" }],
      ['"production"', file, [], { "RACK_ENV" => "test", "KINO_ENVIRONMENT" => "production" }],
      ['"production"', file, ["-e", "production"], { "RACK_ENV" => "test" }]
    ].each do |expected, text, arguments, env|
      write("kino.rb", text)
      assert_equal [1, "#{expected}\n"], kino(*arguments, env: { "RACK_ENV" => nil }.merge(env)), "environment #{[text, arguments, env].inspect}"
    end
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

  def test_an_address_that_cannot_be_used_is_named_once_with_the_reason_and_advice
    write("config.ru", HELLO)
    {
      "192.0.2.1:9" => "cannot listen on 192.0.2.1:9: Cannot assign requested address; no interface of this machine has it",
      "unix:///no/such/directory/socket" =>
        "cannot listen on unix:/no/such/directory/socket: No such file or directory; its directory must exist"
    }.each do |address, sentence|
      status, output = kino("-b", "127.0.0.1:0", "-b", address, "-m", "threaded", "-w", "1")
      assert_equal [1, "kino: --bind: #{sentence}\n"], [status, output.lines.last], output
    end
    _, output = kino("-b", "no.such.host.invalid", "-m", "threaded")
    assert_match(/^kino: --bind: cannot resolve no\.such\.host\.invalid:9292 \([^)]+\)$/, output)
  end

  # As root, and where net.ipv4.ip_unprivileged_port_start is lower, the system lets everyone use the port.
  def test_advice_about_a_privileged_port
    listeners = Kino::Listeners.new([Kino::Address.parse("127.0.0.1:80", 0)]) { raise Errno::EACCES, "kino: cannot listen on 127.0.0.1:80" }
    error = assert_raises(Kino::BindError) { listeners.open }
    assert_equal "cannot listen on 127.0.0.1:80: Permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE: choose another with --port, " \
                 "or let systemd open the socket (docs/operations.md)", error.message
  end

  def test_what_the_log_says_before_an_error_comes_before_it
    write("config.ru", "run ->(env) { [200, {}, []] }\n")
    status, output = kino("--pidfile", "no/such/file")
    assert_equal 1, status
    assert_match(/\Akino: the app cannot run in Ractors, [^\n]*\nkino: --pidfile: cannot use the pidfile no\/such\/file: [^\n]*\n\z/, output)
  end

  def test_a_missing_gem_beside_a_gemfile_needs_bundler
    write("config.ru", "require 'no_such_gem'\n")
    advice = /^There is a Gemfile in \S+; to use its gems, run `bundle exec kino`\.$/
    refute_match(advice, kino.last)
    write("Gemfile", "")
    assert_match(advice, kino.last)
  end

  def test_flags_override_variables_and_both_override_the_configuration_file
    write("config/kino.rb", "workers 2\nthreads 3\nmode :threaded\nrackup 'other.ru'\nkeep_alive_timeout '5m'\n")
    write("other.ru", HELLO)
    child = serve_child("-w", "1", env: { "KINO_THREADS" => "2" })
    Client.open(child.port) { |client| assert_equal 200, client.get("/").status }
    assert_match(/threaded: 1 worker of 2 Threads/, child.log)
    assert_match(%r{keep_alive_timeout 5 min \(config/kino\.rb:5\)}, child.log)
    child.signal("TERM")
    assert_equal 0, child.status
  end

  def test_an_error_in_a_file_that_the_configuration_file_loads_names_that_file
    write("config.ru", HELLO)
    write("settings.rb", "\nraise 'broken'\n")
    write("config/kino.rb", "# ä\nrequire_relative '../settings'\n")
    assert_equal [1, "kino: config/kino.rb:2: broken (RuntimeError)\n    2 | require_relative '../settings'\n"], kino(env: { "LC_ALL" => "C" })
    write("settings.rb", "WORKERS = 'ä'\n")
    write("config/kino.rb", "require_relative '../settings'\nworkers WORKERS + __dir__\n")
    status, output = kino
    assert_equal 1, status
    assert_includes output, "\"ä#{File.realpath(directory)}/config\" is not a valid value for workers"
  end

  def test_check_config_without_certificates_loads_no_native_code
    write("config.ru", HELLO)
    script = "ARGV.replace(['--check-config']); at_exit { puts $LOADED_FEATURES.grep(/kino_native/).inspect }; load #{KINO.inspect}"
    status, output = Child.output("-e", script, chdir: directory)
    assert_equal [0, "[]"], [status, output.lines.last.chomp]
  end

  def test_init_writes_a_file_that_works_and_overwrites_nothing
    write("config.ru", HELLO)
    status, output = kino("--init")
    assert_equal [0, "wrote kino.rb\n"], [status, output]
    text = File.read(File.join(directory, "kino.rb"))
    assert_equal Kino::Template.text, text
    assert_equal 0, kino("--check-config").first
    # Every directive is valid as it stands, except those that name files.
    %w[tmp log].each { |name| Dir.mkdir(File.join(directory, name)) }
    write("kino.rb", text.gsub(/^# (?=(#{Kino::Options.names.join("|")}) )(?!tls|control_token)/, ""))
    status, output = kino("--check-config")
    assert_equal 0, status, output
    assert_equal Kino::Options.names.size - 2, output.scan("(kino.rb:").size
    File.write(File.join(directory, "kino.rb"), text)
    status, output = kino("--init")
    assert_equal 1, status
    assert_match(/kino\.rb already exists/, output)
    assert_equal text, File.read(File.join(directory, "kino.rb"))
  end

  def test_init_translates_a_configuration_of_puma_and_says_what_became_of_each_line
    write("config.ru", HELLO)
    write("config/puma.rb", "threads 2, 4\nport ENV.fetch('PORT', 3000)\npreload_app!\nplugin :tmp_restart\nputs 'loud'\n")
    status, output = kino("--init", "--from", "config/puma.rb", env: { "PORT" => "0" })
    assert_equal 0, status, output
    assert_equal <<~TEXT, output
      config/puma.rb:1: threads 2, 4
        translated: workers 4
        translated: threads 1
        note: as many handlers at once as before; as workers of one Thread, they can run in parallel Ractors
      config/puma.rb:2: port ENV.fetch('PORT', 3000)
        translated: port ENV.fetch('PORT', 3000)
        translated: bind "0.0.0.0"
        note: the address is Puma's default, every interface; 127.0.0.1 is safer if a proxy on this machine is in front
      config/puma.rb:3: preload_app!
        not needed: the app is always loaded before `processes` are forked
      config/puma.rb:4: plugin :tmp_restart
        do this instead: `kill -USR2 PID` restarts without downtime; a file is not watched

      The file reads these variables of the environment: PORT (set).
      If production has other ones, set them and translate again.
      2 translated, 1 not needed, 1 do this instead. Read the one that is left to you.
      wrote kino.rb
    TEXT
    @child = child = Child.ruby(KINO, chdir: directory, env: { "PORT" => "0" })
    Client.open(child.port) { |client| assert_equal 200, client.get("/").status }
    assert_match(/: 4 \w+ of 1 Thread/, child.log)
    child.signal("TERM")
    assert_equal 0, child.status
    assert_match(/kino\.rb already exists/, kino("--init", "--from", "config/puma.rb").last)
    assert_match(/there is no file nowhere\.rb to translate/, kino("--init", "other.rb", "--from", "nowhere.rb").last)
    refute_path_exists File.join(directory, "other.rb")
    assert_match(/--from needs --init: kino --init kino\.rb --from a\.rb/, kino("--from", "a.rb").last)
  end

  def test_check_says_whether_the_app_can_run_in_ractors_and_lists_the_reasons_with_fixes
    write("config.ru", HELLO)
    assert_equal [0, "The app can run in Ractors.\n"], kino("--check")
    write("config.ru", "names = []\nrun(proc { |env| names << env; [200, {}, []] })\n")
    status, output = kino("--check")
    assert_equal 1, status
    assert_match(/config\.ru:2\), which uses names \(\S*config\.ru:2\), an Array/, output)
    write("config.ru", "class App\n  LIST = []\n  def call(env) = [200, {}, LIST]\nend\nrun App.new.freeze\n")
    status, output = kino("--check")
    assert_equal 1, status
    assert_match(/App#call \(\S*config\.ru:3\) reads App::LIST \(\S*config\.ru:2\), which is an unfrozen Array/, output)
    assert_match(/^    Call Ractor\.make_shareable\(App::LIST\) when the app is loaded/, output)
  end

  def test_a_fallback_to_threads_names_the_command_that_says_more
    write("an app.ru", "run(proc { |_env| [200, {}, []] })\n")
    child = serve_child("-w", "1", "an app.ru")
    command = child.log[/`(kino --check [^`]+)` lists all/, 1]
    child.signal("TERM")
    assert_equal 0, child.status
    assert_equal 1, kino(*command.shellsplit.drop(1)).first, command
  end

  def test_check_prints_what_its_documentation_shows
    page = File.read(File.expand_path("../../docs/ractors.md", __dir__))
    rackup, output = page[/For this `config\.ru`.*?\n```\n\nit prints.*?\n```\n/m].scan(/^```\w+\n(.*?)^```$/m).flatten
    write("config.ru", rackup)
    assert_equal [1, output], kino("--check")
  end

  def test_check_sends_a_request_in_a_ractor_if_it_has_a_path
    write("config.ru", "class App\n  def call(env)\n    raise 'no' unless env['PATH_INFO'] == '/up'\n    [204, {}, []]\n  end\nend\nrun App.new.freeze\n")
    assert_equal [0, "The app can run in Ractors.\nGET /up in a Ractor was answered with 204.\n"], kino("--check", "--check-path", "/up")
    status, output = kino("--check-path", "/down")
    assert_equal 1, status
    assert_match(/^GET \/down in a Ractor raised:\n  RuntimeError: no\n    \S*config\.ru:3/, output)
    assert_equal [2, "kino: --check-path takes a path like /up, not up\n"], kino("--check-path", "up")
  end

  def test_check_prints_json_with_exit_status_2_for_an_app_that_cannot_be_loaded
    write("config.ru", "LIST = []\nclass App\n  def call(env) = [200, {}, LIST]\nend\nrun App.new.freeze\n")
    status, output = kino("--check", "--json")
    report = JSON.parse(output)
    assert_equal [1, false, true], [status, *report.values_at("ractors", "shareable")]
    finding = report["findings"].first
    assert_equal ["constant", "App#call", 3, true], finding.values_at("kind", "subject", "line", "freezing_mends")
    assert_match(/config\.ru:1\z/, finding["defined_at"])
    write("config.ru", "raise 'not today'\n")
    status, output = kino("--json", "--check")
    report = JSON.parse(output)
    assert_equal [2, nil, "Kino::AppLoadError"], [status, report["ractors"], report["error"]["class"]]
    assert_match(/not today/, report["error"]["message"])
    assert_equal 2, kino("--check", "missing.ru").first
    assert_equal [1, "kino: --json needs --check\n"], kino("--json")
  end

  def test_check_has_exit_status_2_whatever_keeps_the_app_from_being_loaded
    { "exit 0\n" => /ended the program with status 0/, "abort\n" => /ended the program with status 1/, "throw :x\n" => /uncaught throw/,
      "def deep = deep\ndeep\n" => /stack level too deep/,
      "raise NoMemoryError, 'as intended'\n" => /as intended/, "\0\xff\n".b => /raised while it was loaded/, "" => /missing run/ }.each do |text, message|
      write("config.ru", text)
      status, output = kino("--check")
      assert_equal 2, status, text
      assert_match message, output
      status, output = kino("--check", "--json")
      assert_equal [2, nil], [status, JSON.parse(output)["ractors"]], text
    end
  end

  def test_what_the_app_writes_is_not_among_the_json
    write("config.ru", "puts '{'\nsystem('echo', '{')\n#{HELLO}")
    command = [Child.environment, RbConfig.ruby, KINO, "--check", "--json", "--check-path", "/"]
    output, errors, status = Open3.capture3(*command, chdir: directory)
    assert_predicate status, :success?, errors
    assert JSON.parse(output)["ractors"]
    assert_equal "{\n{\n", errors
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

  covers :rackup
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
