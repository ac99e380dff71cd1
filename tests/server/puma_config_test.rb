# frozen_string_literal: true

require "minitest/autorun"
require "tmpdir"

require "kino/puma_config/page"
require "kino/puma_config/translation"
require "kino/config/settings"

# `kino --init --from`: the translation of configuration files of Puma.
class PumaConfigTest < Minitest::Test
  Translation = Kino::PumaConfig::Translation
  Directives = Kino::PumaConfig::Directives

  def setup
    @directory = File.realpath(Dir.mktmpdir("kino"))
    @before = ENV.to_h
  end

  def teardown
    ENV.replace(@before)
    FileUtils.rm_rf(@directory)
  end

  def translate(text, **limits)
    Translation.new("puma.rb", text, **limits)
  end

  # The lines of code of a translation.
  def code(text)
    translate(text).entries.flat_map(&:code)
  end

  # The settings of the translation, as kino reads it.
  def settings(text)
    path = File.join(@directory, "kino.rb")
    File.write(path, translate(text).config)
    Kino::Settings.new({}, env: {}, file: Kino::ConfigFile.new(path), table: Kino::Options::TABLE)
  end

  def entry(text, at = 0)
    translate(text).entries.fetch(at)
  end

  RAILS = <<~RUBY
    # Threads.
    max_threads_count = ENV.fetch("RAILS_MAX_THREADS") { 5 }
    min_threads_count = ENV.fetch("RAILS_MIN_THREADS") { max_threads_count }
    threads min_threads_count, max_threads_count

    worker_timeout 3600 if ENV.fetch("RAILS_ENV", "development") == "development"
    port        ENV.fetch("PORT") { 3000 } # where
    environment ENV.fetch("RAILS_ENV") { "development" }
    pidfile(ENV.fetch("PIDFILE") { "tmp/pids/server.pid" })
    workers ENV.fetch("WEB_CONCURRENCY", 2)
    preload_app!

    before_fork do
      ActiveRecord::Base.connection_pool.disconnect! if defined?(ActiveRecord)
      threads 9, 9
    end
    plugin :tmp_restart
    plugin :solid_queue if ENV["SOLID_QUEUE_IN_PUMA"]
  RUBY

  def test_a_typical_file
    %w[RAILS_MAX_THREADS RAILS_MIN_THREADS RAILS_ENV PORT PIDFILE WEB_CONCURRENCY SOLID_QUEUE_IN_PUMA].each { |name| ENV.delete(name) }
    made = translate(RAILS)
    assert_equal [[4, :translated], [6, :instead], [7, :translated], [8, :translated], [9, :translated], [10, :translated], [11, :not_needed], [13, :instead],
                  [17, :instead], [18, :skipped]], made.entries.map { |one| [one.line, one.kind] }
    assert_equal ['workers ENV.fetch("RAILS_MAX_THREADS") { 5 }', 'threads 1', 'port ENV.fetch("PORT") { 3000 }', 'bind "0.0.0.0"',
                  'environment ENV.fetch("RAILS_ENV") { "development" }', 'pidfile ENV.fetch("PIDFILE") { "tmp/pids/server.pid" }', 'processes [Integer(ENV.fetch("WEB_CONCURRENCY", 2)), 1].max'],
                 made.entries.flat_map(&:code)
    assert_includes made.report, "puma.rb:7: port ENV.fetch(\"PORT\") { 3000 }\n  translated: port ENV.fetch(\"PORT\") { 3000 }\n  translated: bind \"0.0.0.0\"\n"
    assert_includes made.report, "RAILS_MAX_THREADS (not set)"
    assert_includes made.report, "5 translated, 3 do this instead, 1 not needed, 1 not evaluated. Read the 3 that are left to you."
    ENV["PORT"] = "4000"
    assert_equal [4000, 5, 1, 2, ["0.0.0.0"]], settings(RAILS).then { |found| %i[port workers threads processes bind].map { |name| found[name] } }
  end

  def test_workers_of_rails_stay_processes
    assert_equal ["workers 3", "threads 1", "processes 2"], code("threads 1, 3\nworkers 2\nRails.env\n").first(3)
    assert_equal ["processes :auto"], code("workers :auto\nplugin :solid_queue if ENV['RAILS_ENV']\n").first(1)
    assert_equal ["workers 3", "threads 1"], code("workers 0\nthreads 1, 3\nRails.env\n").first(2)
    assert_equal ["workers 2"], code("workers 2 # of Rails\n").first(1)
    File.write(File.join(@directory, "application.rb"), "")
    File.write(File.join(@directory, "puma.rb"), "workers 2\n")
    assert_equal ["processes 2"], Kino::PumaConfig::Translation.of_file(File.join(@directory, "puma.rb")).entries.flat_map(&:code).first(1)
    Dir.chdir(@directory) { assert_equal ["processes 2"], Kino::PumaConfig::Translation.of_file("puma.rb").entries.flat_map(&:code).first(1) }
  end

  def test_single_mode_becomes_workers_of_one_thread
    assert_equal ["workers 16", "threads 1"], code("threads 0, 16\nworkers 0\n").first(2)
    assert_equal ["workers 5", "threads 1"], code("threads 5\n").first(2)
    assert_equal ["workers 8", "threads 1"], code("threads [1, 8]\n").first(2)
    assert_equal ["threads 8", "workers 3"], code("threads 1, 8\nworkers 3\n").first(2)
    assert_equal ["threads 8"], code("threads 1, 3\nthreads 1, 8\nworkers 2\nworkers :auto").first(1)
    ENV["N"] = "0"
    assert_equal ["workers [ENV[\"N\"].to_i, 1].max", "threads 4"], code("workers ENV[\"N\"].to_i\nthreads 4, 4\n").first(2)
  end

  def test_addresses
    {
      "bind 'tcp://0.0.0.0:9292'" => ["0.0.0.0:9292"], "bind 'tcp://[::]:80?backlog=64&low_latency=true'" => ["[::]:80"],
      "bind 'unix:///run/a.sock'" => ["unix:///run/a.sock"], "bind 'unix:///run/a.sock?umask=0117&backlog=5'" => ["unix:///run/a.sock?mode=0660"],
      "bind 'unix:///run/a.sock?mode=0600'" => ["unix:///run/a.sock?mode=0600"], "bind 'unix://tmp/a.sock'" => ["unix://#{Dir.pwd}/tmp/a.sock"],
      "bind 'unix://@a'" => ["unix://@a"], "port 80, '::1'" => ["[::1]"], "port 80\nport 81, 'localhost'" => ["0.0.0.0", "localhost:81"],
      "set_default_host '127.0.0.1'\nport 80" => ["127.0.0.1"], "bind 'tcp://a:1'\nclear_binds!\nbind 'tcp://b:1'" => ["b:1"],
      "bind \"tcp://0.0.0.0:\#{ENV.fetch('KINO_TEST_PORT', 3000)}\"" => ["tcp://0.0.0.0:3000"],
      "bind \"unix://\#{File.expand_path('/run', __dir__)}/a.sock\"" => ["unix:///run/a.sock"]
    }.each { |text, binds| assert_equal binds, settings(text)[:bind], text }
  end

  def test_an_address_beside_tls_says_that_it_does_not_speak_it
    assert_equal ["http://0.0.0.0", "http://a:1", "http://0.0.0.0:81", "https://b:443"],
                 settings("port 80\nbind 'tcp://a:1'\nport 81\nssl_bind 'b', 443, cert: 'x', key: 'y'\n")[:bind]
  end

  def test_a_value_from_the_environment_that_cannot_stay_as_it_is_written_is_said_to_be_fixed
    one = entry("persistent_timeout [ENV['NO_SUCH'].to_i, 9].max.succ")
    assert_equal [["keep_alive_timeout 10"], "it depends on the environment; this is the value here"], [one.code, one.text]
    one = entry("bind ENV['NO_SUCH'] || 'tcp://0.0.0.0:1'")
    assert_equal [["bind ENV['NO_SUCH'] || 'tcp://0.0.0.0:1'"], nil], [one.code, one.text]
    assert_nil entry("persistent_timeout 9 if ENV['HOME'] || true").text
  end

  def test_certificates
    {
      "ssl_bind '0.0.0.0', '443', cert: 'a.pem', key: 'a.key', verify_mode: 'none', no_tlsv1: true" => [{ cert: "a.pem", key: "a.key" }],
      "ssl_bind('::1', 443, { cert: 'a.pem', key: 'a.key', verify_mode: 'force_peer', ca: 'ca.pem' })" => [{ cert: "a.pem", key: "a.key", ca: "ca.pem", verify: :force_peer }],
      "bind 'ssl://0.0.0.0:443?key=a.key&cert=a.pem&verify_mode=none&ca=x'" => [{ cert: "a.pem", key: "a.key" }]
    }.each do |text, tls|
      found = settings(text)
      assert_equal tls, found[:tls]
      assert_match(%r{\Ahttps://(\[::1\]|0\.0\.0\.0):443\z}, found[:bind].first)
    end
    secret = "-----BEGIN PRIVATE KEY-----\\nSECRET"
    made = translate("pem = \"#{secret}\"\nssl_bind '0.0.0.0', 443, cert_pem: pem, key_pem: pem\n")
    assert_equal ['bind "https://0.0.0.0:443"'], made.entries.first.code
    refute_includes made.config + made.report, "SECRET"
    assert_match(/it names no certificate/, entry("ssl_bind '127.0.0.1', 9292").text)
  end

  def test_addresses_with_different_rules_for_clients_have_a_note
    some = "ssl_bind '0.0.0.0', 443, cert: 'a', key: 'b', ca: 'c', verify_mode: 'force_peer'"
    all = translate("#{some}\n#{some.sub("443", "444").sub(/, ca.*/, "")}\n").entries
    all.each { |one| assert_match(/`ca` and `verify` apply to the clients of all addresses/, one.text) }
    translate("#{some}\n#{some.sub("443", "444")}\n").entries.each { |one| assert_nil one.text }
  end

  def test_times_limits_and_the_process
    {
      "persistent_timeout 75" => ["keep_alive_timeout 75"], "first_data_timeout 40" => ["header_timeout 40"], "max_keep_alive 9" => ["max_keep_alive 9"],
      "http_content_length_limit 10_485_760" => ['max_body_size "10 MiB"'], "force_shutdown_after 12.5" => ["shutdown_timeout 12.5"],
      "force_shutdown_after :immediately" => ["shutdown_timeout 0"], "force_shutdown_after" => ["shutdown_timeout 86400"],
      "worker_shutdown_timeout ENV.fetch('KINO_T', 20).to_i" => ["shutdown_timeout ENV.fetch('KINO_T', 20).to_i"],
      "log_requests" => ["log_requests true"], "log_requests false" => ["log_requests false"], "enable_keep_alives false" => ["max_keep_alive 1"], "rackup 'a/b.ru'" => ['rackup "a/b.ru"'], "rackup DefaultRackup" => [],
      "environment :production" => ['environment "production"'], "pidfile 'a.pid'" => ['pidfile "a.pid"'], "tag 'my app'" => ['Process.setproctitle("kino [my app]")'], "tag ''" => [],
      "directory '/srv/app'" => ['Dir.chdir("/srv/app")']
    }.each { |text, lines| assert_equal lines, entry(text).code, text }
    assert_match(/not a valid value for keep_alive_timeout/, entry("persistent_timeout 0").text)
  end

  # Every directive of Puma has an outcome with whatever arguments it is called.
  def test_every_directive_has_an_outcome
    random = Random.new(seed = Integer(ENV.fetch("SEED", Random.new_seed)))
    values = ["1", "'text'", ":forever", "nil", "false", "[1, 2]", "{ a: 1 }", "Rails.root", "ENV['NO_SUCH']", "-> {}", "Object.new", "2.5", "'tcp://x'", "key: 'v'", "\"\\xff\""]
    lines = Directives.names.flat_map do |name|
      ["#{name}", *Array.new(4) { "#{name}(#{values.reject { |value| value.start_with?("key") }.sample(random.rand(1..3), random: random).join(", ")})" }, "#{name}(#{values.sample(random: random)})", "#{name} { 1 }"]
    end
    found = translate(lines.join("\n")).entries.group_by(&:line)
    lines.each.with_index(1) do |line, number|
      assert_equal 1, found.fetch(number).size, "#{line}, seed #{seed}"
      one = found[number].first
      assert_includes Translation::KINDS, one.kind
      refute_equal :failed, one.kind, "#{line}: #{one.text}"
      assert one.text || one.code.any?, "#{line}, seed #{seed}"
      refute_match(/#<|\n/, "#{one.text}#{one.code.join}", "#{line}, seed #{seed}")
    end
  end

  def test_the_page_in_docs_has_every_directive
    assert Kino::PumaConfig::Page.text == File.read(File.expand_path("../../docs/migrating_from_puma.md", __dir__)),
           "docs/migrating_from_puma.md is not that of the tables; run samples/server/update_docs"
    Directives.names.each { |name| assert_match(/^\|.*`#{name}`.* \| /, Kino::PumaConfig::Page.text) }
    assert_equal Directives.names.uniq, Directives.names
  end

  def test_what_is_not_known_here_is_left_to_the_user
    ["workers Concurrent.physical_processor_count", "bind \"unix://\#{Rails.root.join('tmp')}/a.sock\"", "directory Rails.root", "threads 1, Foo::Bar[3]",
     "port Integer(Puma::CONFIG.port)", "port 80, Socket.no_such_method rescue port 80, Some.host"].each do |line|
      one = entry(line)
      assert_equal :by_hand, one.kind, line
      assert_match(/it depends on .*(Concurrent|Rails|Foo::Bar|Puma|Some)/, one.text)
    end
    assert_equal ["port ENV.fetch(\"NO_SUCH_PORT\")"], code("port ENV.fetch(\"NO_SUCH_PORT\")\n").first(1)
    assert_match(/no directive of Puma that kino knows; did you mean threads\?/, entry("theads 1, 2").text)
    assert_match(/after_boot/, entry("@config.options[:events].on_booted do\n  start\nend\n").text)
  end

  def test_an_error_does_not_end_the_translation
    made = translate("require 'no/such/file'\nnil.missing\nraise IOError, 'gone'\nport 80\nif true\n  workers 2\n  exit\n  abort 'x'\nend\ntag 'a'\n")
    assert_equal [[1, :by_hand], [2, :failed], [3, :failed], [4, :translated], [6, :translated], [7, :by_hand], [8, :by_hand], [10, :translated]],
                 made.entries.map { |one| [one.line, one.kind] }
    assert_equal "IOError: gone", made.entries[2].text
  end

  # Each variable uses the next one twenty times.
  def test_variables_are_followed_only_so_far
    text = Array.new(40) { |at| "v#{40 - at} = #{at.zero? ? "ENV['NO_SUCH'].to_i" : Array.new(20, "v#{41 - at}").join("+")}\n" }.join
    assert_equal :translated, entry("#{text}persistent_timeout v1 + 7\n").kind
  end

  def test_constants_of_the_file_are_not_those_of_kino
    assert_equal :by_hand, entry("threads Server, Call\n").kind
    assert_equal ["workers 7", "threads 1"], code("class Server; N = 7; end\nthreads Server::N\n").first(2)
    assert_equal ["workers 3", "threads 1"], code("require 'etc'\nthreads [Etc.nprocessors, 3].min + [3 - Etc.nprocessors, 0].max\n").first(2)
  end

  def test_statements_over_several_lines
    text = <<~RUBY
      =begin
      port 1
      =end
      path = <<~TEXT.strip
        unix:///run/
        a.sock
      TEXT
      bind path
        .tr("\\n", "")
      stdout_redirect \\
        "a", "b",
        true
      %w[80 81].each do |number|
        port number, "x"
      end
      case ENV["NO_SUCH"]
      when "a"
        port 1
      else workers 2; threads 3, 3
      end
      def helper(n)
        persistent_timeout n
      end
      helper 33
      tag "é"
      __END__
      port 5
    RUBY
    assert_equal ['bind "unix:///run/a.sock"', "port 80", 'bind "x"', 'bind "x:81"', "workers 2", "threads 3", "keep_alive_timeout 33", 'Process.setproctitle("kino [é]")'],
                 code(text)
  end

  def test_hostile_files_do_not_harm
    {
      "exit!" => nil, "Process.exit!(3)" => /it ended the process/, "Process.kill(:KILL, Process.pid)" => /it ended the process/,
      "Process.exec('true')" => /it ended the process/, "ObjectSpace.each_object(IO) { |io| io.close rescue nil }" => nil,
      "def Marshal.dump(*) = raise('no')" => nil, "class Array; undef map; end" => nil, "class Struct; undef_method :initialize; end" => nil,
      "at_exit { loop { } }" => nil, "trap('TERM') { }" => nil, "ENV.clear" => nil, "def self.method_missing(*) = raise" => nil,
      "class Object; def to_s = raise('x'); def inspect = raise('x'); end" => nil, "raise Class.new(StandardError) { def message = raise('m') }" => nil,
      "raise Exception, \"a\\nb\\xff\"" => /Exception: a\z/, "throw :nowhere" => /UncaughtThrowError/, "return" => nil, "a = []; a << a; port a" => nil,
      "def deep = deep\ndeep" => /SystemStackError/, "Thread.main.kill" => nil, "Thread.new { Thread.main.raise('x') }.join" => nil,
      "BEGIN { port 1 }\nEND { port 2 }" => nil, "$stdout.puts 'x' * 100_000; warn 'y' * 100_000; STDIN.read" => nil, "bind \"\\u0001x\\u0001\"" => nil,
      "port 10**100" => nil, "workers Float::NAN; workers -1; threads; threads nil" => nil, "BasicObject.new.foo; port BasicObject.new" => nil, "self.foo = 3" => nil,
      "freeze; singleton_class.freeze" => nil, "@kino = nil; port 4" => nil, "Object.const_missing(:X)" => nil, "fork { sleep }; spawn('sleep 1000'); `ls`" => nil,
      "ENV = 3; port ENV" => nil, "undef port; port 3" => nil, "port(*(1..300_000).to_a)" => nil, "tag 'a' * 1_000_000" => nil
    }.each do |text, message|
      made = translate("port 80\n#{text}\nworkers 2\n", seconds: 20)
      assert_equal [1, :translated], made.entries.first.to_a.values_at(0, 2), text
      assert(made.entries.any? { |one| one.kind == :failed && message.match?(one.text) }, "#{text}: #{made.report}") if message
      made.entries.each { |one| refute_match(/[^[:print:]\t]/, one.text.to_s, text) }
    end
  end

  def test_a_file_that_does_not_end_is_ended_with_what_it_has_started
    path = File.join(@directory, "output")
    File.mkfifo(path)
    # It ends when no process has it open for writing.
    output = File.open(path, File::RDONLY | File::NONBLOCK)
    made = translate("port 80\nProcess.spawn('sleep 1000', out: File.open(#{path.inspect}, 'w'))\nloop { }\nworkers 3\n", seconds: 5)
    assert_equal [:translated, :skipped, :failed], made.entries.map(&:kind)
    assert_equal "the evaluation ended before it", made.entries[1].text
    assert_match(/more than 5 s/, made.entries.last.text)
    assert IO.select([output], nil, nil, 30), "a process of the file has not ended"
    assert_equal "", output.read
  ensure
    output&.close
  end

  def test_files_that_are_none_are_refused
    File.write(File.join(@directory, "syntax.rb"), "port (\n")
    File.binwrite(File.join(@directory, "binary.rb"), "\xff\x00port 3")
    {
      "nowhere.rb" => /there is no file .*nowhere\.rb to translate/, "" => /is a directory/, "syntax.rb" => /syntax\.rb is not valid Ruby/,
      "binary.rb" => /is not a text in UTF-8/
    }.each do |name, message|
      error = assert_raises(Kino::ConfigError) { Translation.of_file(File.join(@directory, name)) }
      assert_match(message, error.message)
    end
    ["(", "[", "!"].each do |opening|
      closing = { "(" => "1#{")" * 100_000}", "[" => "]" * 100_000, "!" => "1" }.fetch(opening)
      error = assert_raises(Kino::ConfigError) { translate("port #{opening * 100_000}#{closing}", seconds: 3) }
      assert_match(/nest|cannot be parsed/, error.message)
    end
    assert_equal 1, translate("").entries.size
    assert_match(/names no address/, translate("").report)
  end

  # Parts of a file in any order: no crash, and a translation that kino can read.
  def test_mutated_files_are_translated_or_refused
    random = Random.new(seed = Integer(ENV.fetch("SEED", Random.new_seed)))
    tokens = Ripper.lex("#{RAILS}bind 'unix:///a?umask=1'\nssl_bind 'x', 1, cert: 'a', key: 'b'\nforce_shutdown_after 3\n").map { |token| token[2] }
    translated = 0
    60.times do
      mutated = tokens.dup
      random.rand(1..4).times do
        at = random.rand(mutated.size)
        case random.rand(3)
        when 0 then mutated.delete_at(at)
        when 1 then mutated.insert(at, tokens.sample(random: random))
        else mutated[at], mutated[at - 1] = mutated[at - 1], mutated[at]
        end
      end
      begin
        made = translate(mutated.join)
      rescue Kino::ConfigError => e
        assert_match(/not valid Ruby/, e.message, "seed #{seed}")
        next
      end
      translated += 1
      path = File.join(@directory, "kino.rb")
      File.write(path, made.config)
      mistakes = Kino::ConfigFile.new(path).mistakes
      assert_empty mistakes, "seed #{seed}\n#{made.config}"
    end
    assert_operator translated, :>, 5, "seed #{seed}"
  end
end
