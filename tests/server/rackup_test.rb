# frozen_string_literal: true

require_relative "support/ports"
require_relative "support/server_test"

# `rackup -s kino`: the precedence of ports and addresses, and refused options.
class RackupTest < ServerTest
  HELLO = <<~RUBY
    class Hello
      def call(env) = [200, { "content-type" => "text/plain" }, ["hello from \#{env["PATH_INFO"]}"]]
    end
    run Hello.new.freeze
  RUBY

  def setup
    super
    begin
      require "rackup"
      require "rackup/handler/kino"
    rescue LoadError
      skip "the rackup gem is not installed"
    end
    File.write(File.join(directory, "config.ru"), HELLO)
  end

  def configure(text)
    File.write(File.join(directory, "kino.rb"), text)
  end

  RACKUP = ["-r", "rackup", "-e", "Rackup::Server.start", "--", "-s", "kino", "-E", "none"].freeze

  def rackup(*arguments, env: {})
    @child = Child.ruby(*RACKUP, *arguments, env: env, chdir: directory)
  end

  def assert_serves(child, port)
    assert_equal port, child.port
    Client.open(port) { |client| assert_equal "hello from /", client.get("/").body }
    child.signal("INT")
    assert_equal 0, child.status, child.log
  end

  def test_rackup_s_flags_and_options_set_kino_s
    child = rackup("-p", "0", "-O", "Workers=2", "-O", "mode=ractor", "-o", "127.0.0.1")
    assert_match(/ractor: 2 Ractors/, child.log)
    assert_serves(child, child.port)
  end

  # Rackup itself passes an option of that name to every handler.
  def test_the_access_log_is_an_option_too
    child = rackup("-p", "0", "-O", "AccessLog=access.log", "-O", "Workers=1")
    assert_match(/access_log access\.log \(flag\)/, child.log)
    assert_serves(child, child.port)
    assert_match(%r{"GET / HTTP/1\.1" 200}, File.read(File.join(directory, "access.log")))
  end

  def test_the_configuration_file_sets_port_and_address
    port = Ports.reserve
    configure("port #{port}\nbind '127.0.0.1'\nworkers 1\n")
    child = rackup
    assert_match(/port #{port} \(\S*kino\.rb:1\)/, child.log)
    assert_match(%r{listening http://127\.0\.0\.1:#{port}$}, child.log)
    assert_serves(child, port)
  end

  def test_a_variable_overrides_the_configuration_file
    port = Ports.reserve
    configure("port #{Ports.reserve}\nworkers 1\n")
    child = rackup(env: { "KINO_PORT" => port.to_s, "KINO_BIND" => "127.0.0.1" })
    assert_match(/port #{port} \(KINO_PORT\)/, child.log)
    assert_serves(child, port)
  end

  def test_a_flag_overrides_variables_and_the_configuration_file
    port = Ports.reserve
    configure("port #{Ports.reserve}\nworkers 1\n")
    assert_serves(rackup("-p", port.to_s, "-o", "127.0.0.1", env: { "KINO_PORT" => Ports.reserve.to_s }), port)
  end

  def test_an_unknown_option_or_an_invalid_value_prints_one_line_and_exits_with_status_1
    {
      "Unknown=1" => /\Akino: -O Unknown: unknown option unknown; `kino --help` lists/,
      "Wokers=1" => /\Akino: -O Wokers: unknown option wokers; did you mean workers\?/,
      "QueueDeth=1" => /\Akino: -O QueueDeth: unknown option queue_deth; did you mean queue_depth\?/,
      "unknown" => /\Akino: -O unknown: unknown option/,
      "Workers=many" => /\Akino: -O Workers: "many" is not a valid value for workers/,
      "Rackup=a.ru" => /\Akino: -O Rackup: rackup is an option of the command kino, not of a server$/,
      "Config=nowhere.rb" => /\Akino: no configuration file nowhere\.rb/
    }.each do |option, message|
      status, output = Child.output(*RACKUP, "-O", option, chdir: directory)
      assert_equal 1, status, option
      assert_match(message, output)
      assert_equal 1, output.lines.size, output
    end
  end

  def test_rackup_lists_the_options
    status, output = Child.output(*RACKUP, "-h", chdir: directory)
    assert_equal 0, status
    (Kino::Options::SERVER.map(&:name) - %i[port]).each do |name|
      assert_match(/-O #{name.to_s.split("_").map(&:capitalize).join}=/, output)
    end
  end

  # What `rails server` passes.

  RAILS = { Host: "localhost", Port: 3000, DoNotReverseLookup: true, environment: "development", daemonize: false,
            pid: "tmp/pids/server.pid", caching: nil, restart_cmd: "bin/rails server", early_hints: nil,
            log_stdout: true }.freeze

  def settings(**options)
    Rackup::Handler::Kino.settings(options)
  end

  def test_the_flags_of_rails_override_the_configuration_file_and_its_defaults_do_not
    Dir.chdir(directory) do
      result = settings(**RAILS, user_supplied_options: [])
      assert_equal [3000, ["localhost"]], [result[:port], result[:bind]]
      assert_empty result.chosen
      configure("port 4000\nbind '127.0.0.1'\n")
      result = settings(**RAILS, user_supplied_options: [])
      assert_equal [4000, ["127.0.0.1"]], [result[:port], result[:bind]]
      result = settings(**RAILS, user_supplied_options: [:Port])
      assert_equal [3000, ["127.0.0.1"]], [result[:port], result[:bind]]
      assert_raises(Kino::ConfigError) { settings(**RAILS, Unknown: 1, user_supplied_options: []) }
    end
  end
end
