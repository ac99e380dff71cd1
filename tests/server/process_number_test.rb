# frozen_string_literal: true

require_relative "support/census"
require_relative "support/process_family"
require_relative "support/server_test"

# TTIN adds a process, and TTOU removes one.
class ProcessNumberTest < ServerTest
  include ProcessFamily

  HOLDING_APP = <<~RUBY
    module App
      def self.call(env)
        sleep 0.005 until File.exist?("go") if env["PATH_INFO"] == "/hold"
        [200, { "content-type" => "text/plain" }, [Process.pid.to_s]]
      end
    end
    run App
  RUBY

  def start(*arguments, mode: "threaded", config: "")
    File.write(File.join(directory, "kino.rb"), config)
    start_family(HOLDING_APP, *arguments, mode: mode, workers: 32)
  end

  def teardown
    @clients&.each(&:close)
    super
  end

  # Sends a signal, and waits for a new line of the log.
  def signal(name, line)
    @child.read_more
    from = @child.log.size
    @child.signal(name)
    eventually("#{line.inspect} after #{name}") { @child.read_more || @child.log[from..].match?(line) }
  end

  def grow(count)
    signal "TTIN", /^kino: processes: #{count}; process #{count} is added\n.*process #{count} \(pid \d+\) is ready$/m
  end

  def shrink(count)
    signal "TTOU", /^kino: processes: #{count}; process #{count + 1} \(pid \d+\) answers what it has, and ends$/
  end

  def assert_numbers(*expected)
    eventually("the processes #{expected}") { pids.keys.sort == expected }
    assert_equal expected.size, stats["processes"]
    eventually("all answer") { stats["process_status"].size == expected.size }
    assert_match(/\Akino master of #{expected.size} process(es)? \(/, title_of(@child.pid))
  end

  # How many of 64 connections that are opened at once each process has, by pid.
  def connect_at_once
    opened = Array.new(64) { Client.new(@child.port) }
    opened.map { |client| client.get("/").body.to_i }.tally
  ensure
    opened&.each(&:close)
  end

  # Those that the system does not let run meanwhile get fewer; without sharing, four times in a row do not happen.
  def assert_equal_shares
    equal = 0
    eventually("each has its share", seconds: 60) do
      shares = connect_at_once
      equal = shares.keys.sort == pids.values.sort && shares.values.max <= 1.25 * 64 / pids.size ? equal + 1 : 0
      equal == 4
    end
  end

  def test_the_number_of_processes_follows_and_connections_are_shared_by_those_that_are_there
    start "--processes", "2"
    assert_numbers 1, 2
    grow 3
    grow 4
    assert_numbers 1, 2, 3, 4
    assert_equal_shares
    3.downto(1) { |count| shrink count }
    assert_numbers 1
    signal "TTOU", /^kino: processes: 1; the last one stays$/
    assert_numbers 1
    grow 2
    assert_equal_shares
    assert_equal 0, stats["process_replacements"]
    stop
  end

  def test_the_one_that_is_removed_answers_what_it_has
    start "--processes", "2"
    victim = pids[2]
    @clients = []
    eventually("each has a request") do
      @clients << Client.new(@child.port).send_request("GET", "/hold")
      stats["process_status"].all? { |one| one["in_flight"].positive? }
    end
    shrink 1
    grow 2 # While the former second one still has requests.
    assert running?(victim)
    assert_equal 3, members.size
    File.write(File.join(directory, "go"), "")
    answers = @clients.map { |client| client.read_response.body.to_i }
    assert_includes answers, victim
    eventually("it has ended") { !running?(victim) }
    assert_numbers 1, 2
    refute_match(/ended with|killed/, @child.log)
    stop
  end

  # Signals and crashes in an order that a seed chooses, under load: no request is lost but those of crashes.
  def test_any_signals_lose_nothing_and_the_number_is_as_they_say
    seed = ENV.fetch("SEED", Random.new_seed % 10_000).to_i
    random = Random.new(seed)
    start "--processes", "2", "--max-requests", "300", config: "process_start_timeout 30\n"
    wanted, crashes, steps = 2, 0, 0
    seen = Census.new(Addrinfo.tcp("127.0.0.1", @child.port), connections: 8, path: "/").run do
      @child.read_more
      next steps == 12 unless random.rand < 0.002

      steps += 1
      case random.rand(8)
      when 0..2 then act("TTIN", wanted += 1)
      when 3..5 then act("TTOU", wanted = [wanted - 1, 1].max)
      when 6 then @child.signal("USR1")
      else crashes += kill([pids.values.sample(random: random)].compact).size
      end
      steps == 12
    end.finish
    assert_operator seen.losses.values.sum, :<=, 8 * crashes, "SEED=#{seed}: #{@child.log}"
    assert_equal [200], seen.statuses.keys, "SEED=#{seed}"
    eventually("there are #{wanted} (SEED=#{seed})") { @child.read_more || pids.keys.sort == [*1..wanted] && children_of(@child.pid).size == wanted + 1 }
    eventually("all are ready (SEED=#{seed})") { stats["alive"] == 32 * wanted }
    stop
  end

  # Signals of one kind that arrive together count once.
  def act(name, count)
    signal name, /^kino: processes: #{count};/
  end

  def test_what_other_signals_do_with_the_number
    start "--processes", "2"
    grow 3
    before = pids
    signal "USR1", /restart: replacing 3 processes.*all processes have been replaced$/m
    assert_numbers 1, 2, 3
    assert_empty before.values & pids.values
    signal "HUP", /\A/
    assert_numbers 1, 2, 3
    fresh = Integer(@child.tap { |child| child.signal("USR2") }.await_line(/the new process \(pid (\d+)\) is ready/)[1])
    eventually("the old one has ended") { !running?(@child.pid) }
    assert_equal 2, stats["processes"], "a new program has the number of the configuration"
    Process.kill("TERM", fresh)
    eventually("it has ended") { !running?(fresh) }
  end

  def test_a_process_that_is_not_ready_yet_can_be_removed
    start "--processes", "2", config: "after_fork { |number| sleep 0.01 until number < 2 || File.exist?('go') }\n"
    signal "TTIN", /processes: 3; process 3 is added/
    signal "TTOU", /processes: 2; process 3 \(pid \d+\) answers what it has, and ends/
    File.write(File.join(directory, "go"), "")
    assert_numbers 1, 2
    refute_match(/ended with|is ready/, @child.log)
    stop
  end

  def test_one_process_and_ractors_say_why_nothing_happens
    start
    signal "TTIN", /TTIN and TTOU add and remove processes, so they have no effect with one: start the server with processes 2 or more$/
    stop
    start "--processes", "2", mode: "ractor"
    signal "TTOU", /TTIN and TTOU have no effect in mode ractor: /
    assert_numbers 1, 2
    stop
  end
end
