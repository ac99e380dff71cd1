# frozen_string_literal: true

require "pty"

require_relative "support/server_test"

# What a server prints when it is up.
class BannerTest < ServerTest
  MOST_LINES = 6

  def start(*arguments, env: {})
    File.write(File.join(directory, "config.ru"), "run ->(env) { [200, {}, [env[\"PATH_INFO\"]]] }\n") unless File.exist?(File.join(directory, "config.ru"))
    @child = Child.kino(*arguments, env: env, chdir: directory)
  end

  def test_the_banner_shows_the_mode_the_settings_with_their_sources_and_the_pid
    child = start("-w", "3", "-t", "2", "-m", "threaded", env: { "KINO_QUEUE_DEPTH" => "99" })
    Client.open(child.port) { |client| assert_equal "/x", client.get("/x").body }
    banner = child.log.lines.grep_v(/^kino: /)
    assert_operator banner.size, :<=, MOST_LINES
    assert_match(/^kino #{Kino::VERSION} on ruby #{RUBY_VERSION}/, child.log)
    assert_match(/threaded: 3 workers of 2 Threads/, child.log)
    assert_match(/workers 3 \(flag\)/, child.log)
    assert_match(/queue_depth 99 \(KINO_QUEUE_DEPTH\)/, child.log)
    assert_match(/pid +#{child.pid}/, child.log)
    refute_match(/\e\[/, child.log)
    child.signal("INT")
    assert_equal 0, child.status
  end

  # What a terminal shows of a server with this environment.
  def on_a_terminal(env)
    File.write(File.join(directory, "config.ru"), "run ->(env) { [200, {}, []] }\n")
    env = Child.environment("NO_COLOR" => nil, "TERM" => "xterm").merge(env)
    reader, writer, pid = PTY.spawn(env, RbConfig.ruby, File.join(Child::ROOT, "exe/kino"), "-p", "0", "-w", "1", "-m", "threaded", chdir: directory)
    seen = +""
    seen << reader.readpartial(4096) until seen.match?(/twice to force/)
    seen
  ensure
    writer&.close
    reader&.close
    Process.kill("KILL", pid)
    Process.wait(pid)
  end

  def test_a_terminal_gets_colors_unless_it_does_not_want_them
    assert_match(/\A\e\[1mkino #{Regexp.escape(Kino::VERSION)}\e\[0m on ruby/, on_a_terminal({}))
    [{ "NO_COLOR" => "1" }, { "TERM" => "dumb" }].each { |env| refute_includes on_a_terminal(env), "\e", env.inspect }
    assert_includes on_a_terminal({ "NO_COLOR" => "" }), "\e[1m"
  end

  def test_no_value_adds_a_line_or_an_escape_sequence
    evil = "/a\nkino: forged\e[31m\r"
    settings = Kino::Settings.new({ stream_body: [evil], tls: { cert: evil, key: evil }, mode: :threaded, bind: "https://127.0.0.1", workers: 1,
                                    access_log: "/tmp/#{evil.delete("/")}" })
    server = Kino::Server.new(Apps::Basic.new, settings: settings)
    text = Kino::Banner.text(server)
    assert_operator text.lines.size, :<=, MOST_LINES
    refute_match(/[\e\r]|^kino: /, text)
    ["unix:///tmp/a\nb", "unix://@a\eb", "a\nb"].each do |address|
      assert_raises(Kino::ConfigError, address) { Kino::Server.new(Apps::Basic.new, bind: address, mode: :threaded) }
    end
  end

  def test_an_output_that_cannot_be_written_does_not_stop_the_server
    closed = File.open(File::NULL)
    Kino::Banner.show(start_server(Apps::Basic.new, mode: :threaded, workers: 1), closed)
    assert_healthy(@servers.last)
  ensure
    closed&.close
  end
end
