# frozen_string_literal: true

require "minitest/autorun"
require "socket"
require "stringio"
require "timeout"
require "tmpdir"

require "kino/cli"

# Mistakes in flags, the environment and the configuration file, as the command kino reports them; and `kino --check-config`.
class ConfigMistakesTest < Minitest::Test
  def setup
    @directory = Dir.mktmpdir("kino")
    @before = ENV.to_h
    write("config.ru", "run nil\n")
  end

  def teardown
    ENV.replace(@before)
    FileUtils.rm_rf(@directory)
  end

  # The command in this process: [status, what it prints].
  def kino(*arguments, env: {})
    ENV.update(env)
    output = StringIO.new
    status = Dir.chdir(@directory) { Kino::CLI.start(arguments, out: output, err: output) }
    [status, output.string]
  end

  def write(name, text)
    path = File.join(@directory, name)
    FileUtils.mkdir_p(File.dirname(path))
    File.write(path, text)
    path
  end

  def test_a_mistake_is_named_without_a_backtrace_and_exits_with_status_1
    write("no_app.ru", "run 5\n")
    {
      ["--wokers", "3"] => /unknown option --wokers; did you mean --workers\?$/,
      ["--max", "3"] => /--max is ambiguous; it could be --max-\S+ or /,
      ["--run-permits=no"] => /--run-permits takes no value, not no; write --run-permits or --no-run-permits/,
      ["--port"] => /--port needs a value: --port N$/, ["-C"] => /-C needs a value: -C FILE$/, ["--completion"] => /--completion SHELL$/,
      # Not an abbreviation of --drain-delay.
      ["-d"] => /unknown option -d; `kino --help` lists the options$/, ["-d", "5"] => /unknown option -d;/,
      ["-t", "1:5"] => /--threads.*"1:5".*1 to 64; there is no minimum and maximum: write 5$/,
      ["stats"] => /no rackup file stats in .*; did you mean `kino ctl stats`\?$/,
      ["3000"] => /no rackup file 3000 in .*; did you mean `kino -p 3000`\?$/, ["start"] => /no rackup file start in .*; did you mean `kino`\?$/,
      ["--completion", "fish"] => /--completion fish: it takes bash or zsh/,
      ["-w", "0", "--prot", "-m", "fast"] => /3 mistakes.*^unknown option --prot; did you mean --port\?\n^--mode: .*\n^--workers: /m,
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

  def test_check_config_checks_the_fields_of_the_access_log
    write("config.ru", "run ->(_) { [200, {}, []] }\n")
    assert_equal 0, kino("--check-config", "--access-log-format", "$status $http_x_id").first
    status, output = kino("--check-config", "--access-log-format", "$status $remote_adr")
    assert_equal 1, status
    assert_match(/\Akino: --access-log-format: the access log format has the unknown field \$remote_adr; fields are .*\$remote_addr/, output)
  end

  def test_init_does_not_put_a_file_before_another_one
    write("config/kino.rb", "port 1\n")
    assert_equal [1, "kino: config/kino.rb already exists; remove it or choose another path: kino --init PATH\n"], kino("--init")
    assert_equal [0, "wrote kino.rb\n"], kino("--init", "kino.rb")
  end

  def test_a_mistake_in_a_configuration_file_shows_the_place_the_line_and_what_is_meant
    {
      "workers 2\n\nthread 3\n" => "kino.rb:3: unknown option thread; did you mean threads?\n    3 | thread 3\n      | ^^^^^^\n",
      "workers 2 if nonsense\n" => "kino.rb:1: unknown option nonsense; `kino --help` lists the options\n    1 | workers 2 if nonsense\n      |              ^^^^^^^^\n",
      "\nworkers 'lots'\n" => "kino.rb:2: \"lots\" is not a valid value for workers; it takes an integer, 1 to 1024\n    2 | workers 'lots'\n",
      "port = 3000\n" => "kino.rb:1: `port = ...` sets a local variable, not the option; write `port 3000`\n    1 | port = 3000\n      | ^^^^\n",
      "self.port = 3000\n" => "kino.rb:1: a value is not assigned; write `port VALUE`\n    1 | self.port = 3000\n      |      ^^^^\n",
      "workers 1, 2\n" => "kino.rb:1: workers takes one value, not 1, 2\n    1 | workers 1, 2\n",
      "log_requests yes\n" => "kino.rb:1: unknown option yes; `kino --help` lists the options\n    1 | log_requests yes\n      |              ^^^\n",
      "preload_app!\n" => "kino.rb:1: preload_app! is a directive of Puma, not of kino; it is not needed: the app is always loaded before `processes` are " \
                          "forked\n    1 | preload_app!\n      | ^^^^^^^^^^^^\n",
      "persistent_timeout 20\n" => "kino.rb:1: persistent_timeout is a directive of Puma, not of kino; its place is taken by `keep_alive_timeout`\n" \
                                   "    1 | persistent_timeout 20\n      | ^^^^^^^^^^^^^^^^^^\n",
      "on_booted { }\n" => "kino.rb:1: on_booted is a directive of Puma, not of kino; write `after_boot { ... }` in kino.rb\n    1 | on_booted { }\n      | ^^^^^^^^^\n",
      "workers\n" => "kino.rb:1: workers needs a value, such as `workers 64`\n    1 | workers\n",
      "\nport ENV.fetch('KINO_NO_SUCH_VARIABLE')\n" => "kino.rb:2: key not found: \"KINO_NO_SUCH_VARIABLE\" (KeyError)\n    2 | port ENV.fetch('KINO_NO_SUCH_VARIABLE')\n",
      "stream_body 'upload'\n" => "kino.rb:1: [\"upload\"] is not a valid value for stream_body; it takes one value or several, each a path like /upload or a content type like application/grpc\n    1 | stream_body 'upload'\n"
    }.each do |text, message|
      write("kino.rb", text)
      assert_equal [1, "kino: #{message}"], kino, text
    end
    {
      "\n\nrequire 'no/such/file'\n" => %r{\Akino: kino\.rb:3: cannot load such file -- no/such/file \(LoadError\)\n    3 \| require 'no/such/file'\n\z},
      "workers 2\nworkers (\n" => /\Akino: kino\.rb is not valid Ruby:\n.*workers \(/m,
      "def deep = deep\ndeep\n" => /\Akino: kino\.rb:1: stack level too deep/,
      "tls cert: '-----BEGIN X', kye: 1" => /\Akino: kino\.rb:1: tls: it does not know kye; [^\n]*\n\z/
    }.each do |text, message|
      write("kino.rb", text)
      status, output = kino
      assert_equal 1, status, output
      assert_match(message, output)
      refute_match(%r{/lib/kino/}, output)
    end
  end

  def test_all_mistakes_of_a_configuration_file_are_shown_at_once
    write("kino.rb", "mode :treaded\nbind '9301'\nprot = 1\nport = 2\nworkers lots.many\nthreds 2\n")
    status, output = kino("-t", "99")
    assert_equal 1, status
    assert_equal ["kino: 5 mistakes in the configuration:"], output.lines.first(1).map(&:chomp)
    assert_includes output, "\n    (the lines after 5 have not been evaluated)\n"
    found = output.lines.drop(1).grep_v(/^ /).map { |line| line[/\A(?:kino\.rb(?::\d+)?|--\w+): [^;]*/] }
    assert_equal ["--threads: \"99\" is not a valid value for threads", "kino.rb:1: :treaded is not a valid value for mode",
                  'kino.rb:2: cannot listen on "9301": it names a port and no host', "kino.rb:5: unknown option lots",
                  "kino.rb:4: `port = ...` sets a local variable, not the option"], found
  end

  # Directives of the template and other pieces in any order and with any damage.
  def test_a_damaged_configuration_file_is_read_or_its_mistakes_are_shown
    random = Random.new(seed = Integer(ENV.fetch("SEED", Random.new_seed)))
    pieces = Kino::Options::TABLE.map(&:directive) +
             ["wokers 3", "port = 1", "self.port = 2", "port", "x.y", "nil.z", "if true", "end", "# \xff", "\0", "tls cert: '-----BEGIN X'", "raise 'a'", "\u00e9 = 1",
              "Foo", "Foo()", "@a.b", "bind", "[1, 2].each do |n|", "}", "(", "'", "__END__", "\e[31m", "return", "threads 1 do", "environment BasicObject.new"]
    outcomes = Hash.new(0)
    verbose, $VERBOSE = $VERBOSE, nil # Ruby warns about such files
    80.times do
      text = Array.new(random.rand(1..6)) do
        piece = pieces.sample(random: random).b
        random.rand < 0.2 ? piece.chars.tap { |all| all.delete_at(random.rand(all.size)) if all.any? }.join : piece
      end.join("\n")
      File.binwrite(File.join(@directory, "kino.rb"), text)
      status, output = kino("--check-config")
      outcomes[status] += 1
      next if status.zero?

      assert_match(/\Akino: (\d+ mistakes in the configuration:\n)?kino\.rb/, output, "seed #{seed}: #{text.inspect}")
      refute_match(/\e|[^\n]{700}/, output, "seed #{seed}: #{text.inspect}")
    end
    assert_operator outcomes.values_at(0, 1).min, :>, 3, "seed #{seed}: #{outcomes}"
  ensure
    $VERBOSE = verbose
  end

  # kino.rb by --check-config: what a value names is not there, or of a kind that cannot be used.
  def test_a_mistake_in_what_a_value_names_shows_the_place_of_the_option
    write("config.ru", "run ->(_) { [200, {}, []] }\n")
    write("file", "no token, no certificate\n")
    File.chmod(0o600, write("long", "x" * 5000))
    File.mkfifo(File.join(@directory, "pipe"), 0o600)
    UNIXServer.new(File.join(@directory, "socket")).close
    {
      "control_bind '127.0.0.1'\ncontrol_token '@none'" => "2: control_token: cannot read none: No such file or directory",
      "control_bind '127.0.0.1'\ncontrol_token '@pipe'" => "2: control_token: cannot read pipe: it is a named pipe, not a regular file",
      "control_bind '127.0.0.1'\ncontrol_token '@.'" => "2: control_token: cannot read .: it is a directory, not a regular file",
      "control_bind '127.0.0.1'\ncontrol_token '@socket'" => "2: control_token: cannot read socket: it is a socket, not a regular file",
      "control_bind '127.0.0.1'\ncontrol_token '@/dev/zero'" => "2: control_token: cannot read /dev/zero: it is a device, not a regular file",
      "control_bind '127.0.0.1'\ncontrol_token '@long'" => "2: control_token: cannot read long: it is longer than 4096 bytes",
      "control_bind '127.0.0.1'\ncontrol_token '@file'" => "2: control_token: other users can read file; chmod 600 it",
      "control_bind '0.0.0.0'" => "1: control_bind http://0.0.0.0:9293 can be reached from other machines, so it needs control_token (or listen on " \
                                  "127.0.0.1 or unix:///path)",
      "control_bind 'unix:///a?user=no.body'" => "1: control_bind: cannot listen on unix:///a: this system has no user no.body",
      "bind 'unix:///a?group=no.body'" => "1: bind: cannot listen on unix:///a: this system has no group no.body",
      "bind 'https://127.0.0.1'" => "1: bind: cannot listen on https://127.0.0.1:9292 without a certificate; add --tls cert=FILE,key=FILE",
      "tls cert: 'none'" => "1: tls: there is no file none",
      "tls cert: 'pipe'" => "1: tls: cannot read pipe: it is a named pipe, not a regular file",
      "tls cert: '.'" => "1: tls: cannot read .: it is a directory, not a regular file",
      "tls cert: '/dev/zero'" => "1: tls: cannot read /dev/zero: it is a device, not a regular file",
      "pidfile 'none/pid'" => "1: pidfile: cannot use the pidfile none/pid: its directory does not exist",
      "pidfile '.'" => "1: pidfile: cannot use the pidfile .: it is a directory",
      "access_log 'none/log'" => "1: access_log: cannot open the access log #{@directory}/none/log: its directory does not exist; choose another path with " \
                                 "access_log, or stdout or stderr",
      "access_log_format '$no'" => /\A1: access_log_format: the access log format has the unknown field \$no; fields are [^\n]*\z/,
      "rackup 'pipe'" => "1: rackup: no rackup file pipe in #{@directory}; create one, or pass its path: kino path/to/config.ru",
      "pubsub 'news'" => '1: pubsub "news": neither unix:///DIRECTORY nor redis://HOST:PORT; set another engine with Kino::PubSub.engine='
    }.each do |text, message|
      write("kino.rb", "#{text}\n")
      status, output = Timeout.timeout(60) { kino("--check-config") }
      assert_equal 1, status, text
      assert_operator message, :===, output.delete_prefix("kino: kino.rb:").chomp, "#{text}: #{output}"
    end
  end

  def test_mistakes_in_what_values_name_are_shown_together_whatever_they_are_set_with
    File.unlink(File.join(@directory, "config.ru"))
    write("kino.rb", "tls cert: 'none'\n")
    status, output = kino("--check-config", "--pidfile", "none/pid", env: { "KINO_CONTROL_TOKEN" => "@none", "KINO_CONTROL_BIND" => "127.0.0.1" })
    assert_equal [1, ["kino: 4 mistakes in the configuration:", "KINO_CONTROL_TOKEN: cannot read none: No such file or directory",
                      "no rackup file config.ru in #{@directory}; create one, or pass its path: kino path/to/config.ru",
                      "--pidfile: cannot use the pidfile none/pid: its directory does not exist",
                      "kino.rb:1: tls: there is no file none"]], [status, output.lines.map(&:chomp)]
  end

  def test_the_file_that_config_names_must_be_readable
    write("config/kino.rb", "port 1\n")
    assert_equal [1, "kino: config is a directory, not a configuration file\n"], kino("-C", "config")
    status, output = kino("-C", "config/kino.rb", "--check-config", "other.ru")
    assert_equal 1, status
    assert_match(/no rackup file other\.ru/, output)
  end

  def test_check_config_shows_the_settings_and_their_sources_and_starts_nothing
    write("config.ru", "raise 'loaded'\n")
    write("kino.rb", "workers 2\nbind '127.0.0.1'\nbind '[::1]:81'\nqueue_timeout '250ms'\nmax_body_size '1.5g'\n")
    status, output = kino("--check-config", "-w", "3", env: { "KINO_MODE" => "threaded", "KINO_WOKERS" => "3" })
    assert_equal 0, status, output
    assert_equal "warning: unknown environment variable KINO_WOKERS; did you mean KINO_WORKERS?", output.lines[0].chomp
    assert_match(/valid \(kino\.rb\)/, output.lines[1])
    rows = output.lines.drop(2).to_h { |line| line.strip.split(/ {2,}/, 2) }
    assert_equal Kino::Options.names.map(&:to_s), rows.keys
    rows.transform_values! { |value| value.squeeze(" ") }
    assert_equal ["3 (flag)", "127.0.0.1 [::1]:81 (kino.rb:2,3)", "250 ms (kino.rb:4)", "1536 MiB (kino.rb:5)", "threaded (KINO_MODE)", "9292"],
                 rows.values_at("workers", "bind", "queue_timeout", "max_body_size", "mode", "port")
    {
      ["--tls", "cert=nowhere.pem"] => /there is no file nowhere\.pem/,
      ["-b", "https://127.0.0.1"] => /without a certificate/,
      ["other.ru"] => /no rackup file other\.ru/,
      ["-w", "many"] => /--workers: "many"/
    }.each do |arguments, message|
      status, output = kino("--check-config", *arguments)
      assert_equal 1, status, arguments.inspect
      assert_match(message, output)
      refute_match(/effective/, output)
    end
  end
end
