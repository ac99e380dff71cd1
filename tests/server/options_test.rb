# frozen_string_literal: true

require "minitest/autorun"
require "tmpdir"

require "kino/listen/address"
require "kino/workers/backoff"
require "kino/config/config_file"
require "kino/config/settings"
require "kino/version"

# The option table and its users, without a server or native code.
class OptionsTest < Minitest::Test
  def settings(given = {}, env: {}, file: nil, **rest)
    Kino::Settings.new(given, env: env, file: file, **rest)
  end

  def config(text)
    Dir.mktmpdir("kino") do |directory|
      path = File.join(directory, "kino.rb")
      File.write(path, text)
      yield Kino::ConfigFile.new(path)
    end
  end

  def test_keywords_override_the_environment_which_overrides_the_file_which_overrides_defaults
    config("threads 4\nworkers 4\nqueue_depth 4\n") do |file|
      result = settings({ threads: 2 }, env: { "KINO_THREADS" => "3", "KINO_WORKERS" => "3" }, file: file)
      assert_equal [2, 3, 4, 1], %i[threads workers queue_depth io_threads].map { |name| result[name] }
      sources = result.chosen.to_h { |name, _, source| [name, source] }
      assert_equal ["keyword", "KINO_WORKERS"], sources.values_at(:threads, :workers)
      assert_match(/kino\.rb:3\z/, sources[:queue_depth])
      refute_includes sources, :io_threads
    end
  end

  def test_times_and_sizes_take_units
    seconds = Kino::Options.fetch(:queue_timeout)
    assert_equal [0.5, 5, 300, 3600, 2.5], ["500ms", "5", "5m", "1h", 2.5].map { |text| seconds.parse(text, "test") }
    bytes = Kino::Options.fetch(:max_body_size)
    assert_equal [1024, 5 << 20, 1 << 30, 1536, 7], ["1k", "5MB", "1g", "1.5K", 7].map { |text| bytes.parse(text, "test") }
    ["5x", "", "m", "1..2", "-1", nil, :a, []].each do |wrong|
      assert_raises(Kino::ConfigError) { seconds.parse(wrong, "test") }
    end
  end

  def test_errors_about_unknown_options_and_values_suggest_valid_ones
    error = assert_raises(Kino::ConfigError) { settings({ wokers: 1 }) }
    assert_equal "keyword: unknown option wokers; did you mean workers?", error.message
    {
      "KINO_MODE" => ["treaded", 'KINO_MODE: "treaded" is not a valid value for mode; it takes auto, ractor, threaded; did you mean threaded?'],
      "KINO_THREADS" => ["65", 'KINO_THREADS: "65" is not a valid value for threads; it takes an integer, 1 to 64'],
      "KINO_QUEUE_TIMEOUT" => ["5 sec", "it takes a time in seconds or like 500ms, 30s, 5m, from 1 ms to 1 h"],
      "KINO_BODY_BUFFER" => ["1x", "it takes a size in bytes or like 64k, 50m, 1g, from 4 KiB to 1 GiB"],
      "KINO_MIN_BODY_RATE" => ["2g", "it takes a number of bytes per second, also like 64k, from 0 to 1 GiB/s"],
      "KINO_TLS" => ["crt=a,key=b", "tls \"crt=a,key=b\": it does not know crt, did you mean cert?; it takes cert: and key:"],
      "KINO_BIND" => ["*", 'KINO_BIND: cannot listen on "*": write 0.0.0.0 or [::] for every interface'],
      "KINO_WORKERS" => ["2\xff", "is not a valid value for workers"]
    }.each do |name, (text, message)|
      error = assert_raises(Kino::ConfigError, text) { settings(env: { name => text }) }
      assert_includes error.message, message
    end
    assert_raises(Kino::ConfigError) { settings({ workers: 2.5 }) }
  end

  def test_all_mistakes_of_all_sources_are_reported_at_once
    config("workers 'lots'\nmode :ractor\nthreds 2\n") do |file|
      error = assert_raises(Kino::ConfigError) do
        settings({ prot: 3, queue_depth: -1 }, env: { "KINO_MODE" => "fast", "KINO_IO_THREADS" => "0" }, file: file)
      end
      lines = error.message.lines.grep_v(/^ /)
      assert_equal "7 mistakes in the configuration:\n".sub("7", (lines.size - 1).to_s), lines.first
      ["unknown option prot; did you mean port?", "queue_depth", "mode", "io_threads", "kino.rb:1: ", "kino.rb:3: "].each do |part|
        assert(lines.drop(1).one? { |line| line.include?(part) }, "#{part} in #{error.message}")
      end
    end
  end

  Nameless = Class.new { def inspect = raise("no") }

  # Values of every kind, most of them wrong, and texts like those that are right.
  def hostile_values(random)
    words = %w[1 0 -1 64k 1.5g 5s 1e9 1_0 auto threaded true off /a a/b 127.0.0.1:80 [::1] unix:///x cert=a,key=b ca=x verify=peer , ; = : . \0 \xff é] + ["", " ", "-----BEGIN X", "9" * 400]
    text = Array.new(random.rand(4)) { words.sample(random: random) }.join(["", ",", " ", ";"].sample(random: random))
    values = [text, text.b, text.to_sym, random.rand(-5..70_000), random.rand * 100, Float::NAN, -Float::INFINITY, 10**30, 3r, Complex(1, 1), nil, true, false,
              [], [text], [[text]], [nil], { text.to_sym => text }, { cert: text, key: 3 }, { cert: nil }, { nil => text }, Object, Object.new, BasicObject.new,
              Nameless.new, [Nameless.new], -> {}, 1..2]
    values.sample(random: random)
  end

  # A comma separates the values of one text, so none can be inside of a value.
  def separators_inside?(values)
    values.flat_map { |value| value.is_a?(Hash) ? value.values : [value] }.any? { |value| value.match?(/[,;]|\A\s|\s\z/) }
  end

  def test_any_value_is_either_accepted_or_refused_with_one_sentence
    random = Random.new(seed = Integer(ENV.fetch("SEED", Random.new_seed)))
    accepted = Hash.new(0)
    4000.times do
      option = Kino::Options::TABLE.sample(random: random)
      value = hostile_values(random)
      begin
        made = option.parse(value, "here")
      rescue Kino::ConfigError => e
        assert_match(/\Ahere: ./, e.message)
        refute_includes e.message, "\n"
        assert_operator e.message.size, :<, 600
        next
      end
      accepted[option.name] += 1
      # A value means the same in each of its forms, and is shown in one line.
      assert_equal made, option.parse(made, "value"), "seed #{seed}"
      written = eval("[#{option.type.literal(made)}]")
      assert_equal made, option.parse(option.repeatable? ? written.flatten(1) : written.first, "directive"), "seed #{seed}"
      text = option.type.text(made)
      assert_equal made, option.parse(text, "text"), "seed #{seed}" unless option.repeatable? && separators_inside?(made)
      refute_match(/[[:cntrl:]]/, option.show(made))
    end
    assert_operator accepted.size, :>, 20, "seed #{seed}"
  end

  def test_an_empty_variable_sets_nothing
    assert_equal :auto, settings(env: { "KINO_MODE" => "" })[:mode]
  end

  def test_settle_sets_only_options_without_a_value
    result = settings({ workers: 3 })
    result.settle(:workers) { 9 }
    result.settle(:threads) { 9 }
    assert_equal [3, 9], [result[:workers], result[:threads]]
    refute_includes result.chosen.map(&:first), :threads
  end

  def test_addresses_of_all_forms_are_parsed_and_invalid_ones_refused
    {
      "127.0.0.1" => "http://127.0.0.1:80", "localhost:8080" => "http://localhost:8080", "::1" => "http://[::1]:80",
      "[::1]:81" => "http://[::1]:81", "[::]" => "http://[::]:80", "tcp://0.0.0.0:1" => "http://0.0.0.0:1",
      "http://127.0.0.1:2/" => "http://127.0.0.1:2", "unix:///run/kino.sock" => "unix:///run/kino.sock",
      "unix:///run/kino.sock?mode=0660" => "unix:///run/kino.sock", "unix://@kino" => "unix://@kino"
    }.each { |text, url| assert_equal url, Kino::Address.parse(text, 80).url, text }
    ["", "a b", "host:", "host:x", "host:70000", "[::1", "unix://relative", "unix://@", "unix://@a?mode=0660", "unix://@a\0", "unix:///a?mode=9", "unix:///a?x=1", "ftp://x"].each do |wrong|
      assert_raises(Kino::ConfigError, wrong) { Kino::Address.parse(wrong, 80) }
    end
  end

  def test_the_error_about_an_ambiguous_address_says_how_to_write_it
    %w[9301 :9301 *:9301 tcp://:9301 http://9301].each do |text|
      error = assert_raises(Kino::ConfigError, text) { Kino::Address.parse(text, 80) }
      assert_includes error.message, "cannot listen on #{text.inspect}: it names a port and no host; " \
                                     "write --port 9301 for 127.0.0.1, or 0.0.0.0:9301 for every interface"
    end
    {
      "*" => "write 0.0.0.0 or [::] for every interface",
      "/run/kino.sock" => "write unix:///run/kino.sock",
      "./kino.sock" => "write unix://#{File.expand_path("kino.sock")}",
      "host:x" => "write host, host:port, [v6]:port"
    }.each do |text, advice|
      assert_includes assert_raises(Kino::ConfigError, text) { Kino::Address.parse(text, 80) }.message, advice
    end
  end

  def test_messages_about_unknown_variables_suggest_known_ones
    env = { "KINO_WOKERS" => "3", "KINO_WORKERS" => "2", "KINO_SOMETHING_ELSE" => "10.0.0.1", "OTHER" => "1" }
    unknown = settings(env: env).remarks
    assert_equal 2, unknown.size
    assert_includes unknown, "unknown environment variable KINO_WOKERS; did you mean KINO_WORKERS?"
    assert_includes unknown, "unknown environment variable KINO_SOMETHING_ELSE; `kino --help` lists the options"
    assert_empty settings(env: { "KINO_WORKERS" => "2" }).remarks
    assert_equal ["unknown environment variable KINO_??[31m; `kino --help` lists the options"], settings(env: { "KINO_\xff\e[31m" => "\xff", "KINO_PORT" => "1" }).remarks
    assert_raises(Kino::ConfigError) { settings(env: { "KINO_SERVICE_HOST" => "1", "KINO_PORT" => "\xff" }) }
  end

  # A Service called kino sets KINO_PORT to a URL, among others.
  def test_variables_of_kubernetes_set_nothing
    service = { "KINO_SERVICE_HOST" => "10.0.0.1", "KINO_SERVICE_PORT" => "80", "KINO_SERVICE_PORT_HTTP" => "80", "KINO_PORT_80_TCP" => "tcp://10.0.0.1:80",
                "KINO_PORT_80_TCP_PROTO" => "tcp", "KINO_PORT_80_TCP_PORT" => "80", "KINO_PORT_80_TCP_ADDR" => "10.0.0.1" }
    found = settings(env: service.merge("KINO_PORT" => "tcp://10.0.0.1:80", "KINO_WORKERS" => "2"))
    assert_equal [9292, :default, 2], [found[:port], found.source(:port), found[:workers]]
    assert_equal ["the KINO_* variables of Kubernetes' Service kino are ignored; enableServiceLinks: false removes them"], found.remarks
    assert_equal 80, settings(env: service.merge("KINO_PORT" => "80"))[:port]
    assert_raises(Kino::ConfigError) { settings(env: { "KINO_PORT" => "tcp://10.0.0.1:80" }) }
  end

  def test_what_only_the_command_has_is_remarked_upon
    config("workers 2\nenvironment 'production'\n") do |file|
      remarks = settings(env: { "KINO_RACKUP" => "a.ru" }, file: file).remarks
      assert_equal ["KINO_RACKUP: rackup has no effect, because only the command kino has this option",
                    "#{file.path}:2: environment has no effect, because only the command kino has this option"], remarks
      assert_empty settings(env: { "KINO_RACKUP" => "a.ru" }, file: file, table: Kino::Options::TABLE).remarks
    end
  end

  def test_backoff_is_zero_for_the_first_deaths_then_grows_to_its_limit
    backoff = Kino::Backoff.new(3)
    delays = Array.new(20) { backoff.after_death(10.0) }
    assert_equal [0, 0, 0], delays.first(3)
    assert_equal delays.sort, delays
    assert_operator delays[3], :>, 0
    assert_equal Kino::Backoff::DEATH_LIMIT, delays.last
    assert_equal 0, backoff.after_death(10.0 + 2 * Kino::Backoff::QUIET_SECONDS), "a quiet time resets it"
  end

  def test_refused_creations_back_off_until_one_succeeds
    backoff = Kino::Backoff.new(3)
    delays = Array.new(20) { backoff.after_refusal }
    assert_equal [Kino::Backoff::REFUSAL_STEP, Kino::Backoff::REFUSAL_LIMIT], delays.values_at(0, -1)
    backoff.joined
    assert_equal Kino::Backoff::REFUSAL_STEP, backoff.after_refusal
  end

  def test_the_version_is_that_of_the_library
    header = File.read(File.expand_path("../../include/kino/version.hpp", __dir__))
    numbers = %w[MAJOR MINOR PATCH].map { |part| header[/#define +KINO_VERSION_#{part} +(\d+)/, 1] }
    assert_equal Kino::VERSION, numbers.join(".")
  end
end
