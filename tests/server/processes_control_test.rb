# frozen_string_literal: true

require "json"

require_relative "support/process_family"
require_relative "support/server_test"
require "kino/processes/metrics_sum"
require "kino/processes/turnover"
require "kino/processes/replacements"
require "kino/processes/stats_sum"

# The control plane of several processes tells the sums of all, and what is done with a process that ends.
class ProcessesControlTest < ServerTest
  include ProcessFamily

  HOLDING_APP = <<~RUBY
    app = lambda do |env|
      sleep 0.005 until File.exist?("go") if env["PATH_INFO"] == "/hold"
      [200, { "content-type" => "text/plain" }, [Process.pid.to_s]]
    end
    run app
  RUBY

  def start(*arguments)
    start_family("require \"kino/logger\"\nLOGGER = Kino::Logger.new(File::NULL)\n#{HOLDING_APP}", "--processes", "2", *arguments)
  end

  def stop
    super
    refute_path_exists control
  end

  def ask(path, method: "GET", headers: {})
    Client.open(control) { |client| client.request(method, path, headers: headers) }
  end

  def metrics(**rest)
    told("/metrics", **rest).body.lines.grep_v(/\A#/).to_h { |line| line.chomp.split(/ (?=\S+\z)/) }.transform_values(&:to_f)
  end

  def requests(count)
    Array.new(count) { Client.open(@child.port) { |client| client.get("/").body } }
  end

  # Until all of them have been counted: the client has its response before that.
  def count_of(expected)
    eventually("#{expected} are counted") { stats["served"] == expected }
    stats
  end

  # The statistics in which both processes are: one that takes too long to answer is left out.
  def stats_of_both
    now = nil
    eventually("both have answered") { (now = stats)["process_status"].size == 2 }
    now
  end

  def test_the_numbers_are_those_of_all_processes
    start
    now = stats_of_both
    members = now["process_status"].map { |one| one.fetch("pid") }
    assert_equal [2, 0], now.values_at("processes", "process_replacements")
    by_process = requests(40).tally
    count_of(40)
    now = stats_of_both
    assert_equal by_process, now["process_status"].to_h { |one| [one["pid"].to_s, one["served"]] }.reject { |_, served| served.zero? }
    assert_equal [4, 4, 1, "threaded"], now.values_at("workers", "alive", "threads", "mode")
    assert_equal 40, now["queue_time"]["count"]
    assert_equal 40, now["worker_status"].sum { |worker| worker["served"] }
    assert_equal members.sort, now["worker_status"].map { |worker| worker["pid"] }.uniq.sort
    { "/workers" => "workers", "/workers?backtraces=1" => "threads" }.each do |path, list|
      eventually("#{path} is of both") { JSON.parse(told(path).body).fetch(list, []).map { |one| one["pid"] }.uniq.sort == members.sort }
    end
    stop
  end

  def test_metrics_are_sums_in_both_formats
    start
    requests(30)
    count_of(30)
    [{}, { "Accept" => "application/openmetrics-text" }].each do |headers|
      response = told("/metrics", headers: headers)
      assert_equal headers["Accept"] || "text/plain", response["content-type"][/[^;]+/]
      assert_equal !headers.empty?, response.body.end_with?("# EOF\n")
      families = response.body.lines.grep(/# TYPE/)
      assert_equal families.uniq, families
      samples = response.body.lines.grep_v(/\A#/).map { |line| line[/\A.* /] }
      assert_equal samples.uniq, samples
      now = nil
      eventually("both have answered") { (now = metrics(headers: headers))["kino_processes"] == 2 }
      assert_equal [30, 4, 4, 1, 1, 2, 2, 0],
                   now.values_at("kino_requests_served_total", "kino_workers_alive", "kino_workers_configured", "kino_ready", "kino_ruby_answered",
                                 "kino_processes", "kino_processes_configured", "kino_process_replacements_total")
      assert_equal [30, 30], now.values_at("kino_app_duration_seconds_count", 'kino_app_duration_seconds_bucket{le="+Inf"}')
    end
    stop
  end

  # Prometheus takes a lower count for a restart of all.
  def test_what_an_ended_process_has_counted_stays_counted
    start
    requests(20)
    before = count_of(20)
    metrics
    victim = before["process_status"].max_by { |one| one["served"] }["pid"]
    Process.kill("KILL", victim)
    @child.await_line(/\(pid #{victim}\) ended with signal 9.*^kino: process \d \(pid \d+\) is ready$/m)
    assert_equal [20, 1, 4], stats_of_both.values_at("served", "process_replacements", "alive")
    assert_equal [20, 20, 1], metrics.values_at("kino_requests_served_total", "kino_app_duration_seconds_count", "kino_process_replacements_total")
    requests(5)
    count_of(25)
    @child.signal("USR1")
    @child.await_line(/all processes have been replaced/)
    count_of(25)
    stop
  end

  def test_ready_says_draining_while_a_request_is_left
    start
    assert_equal 200, ask("/live").status
    eventually("it is ready") { ask("/ready").status == 200 }
    client = Client.new(@child.port).send_request("GET", "/hold")
    eventually("it is in a worker") { stats["in_flight"] == 1 }
    @child.signal("TERM")
    eventually("it is not ready") { ask("/ready").status == 503 }
    assert_equal 1, stats["in_flight"]
    File.write(File.join(directory, "go"), "")
    assert_match(/\A\d+\z/, client.read_response.body)
    assert_equal 0, @child.status, @child.log
  ensure
    client&.close
  end

  def test_ready_says_stuck_while_no_process_has_a_worker_left
    start "--quarantine-timeout", "0.2", "--quarantine-max", "1"
    ready = -> { ask("/ready").then { |answer| [answer.status, answer.body] } }
    eventually("it is ready") { ready.call == [200, "ready\n"] }
    clients = []
    # Two workers of each process, and one more that takes the place of the one that may be put aside.
    eventually("no worker is left") do
      clients << Client.new(@child.port).send_request("GET", "/hold") if clients.size < 6 + stats["queued"]
      # The workers that take a place are there a moment after those that were put aside.
      now = stats
      ready.call == [503, "stuck\n"] && [now["quarantined"], now["in_flight"], now["process_status"].map { |one| one["in_flight"] }] == [2, 6, [3, 3]]
    end
    eventually("the metrics tell it, too") { metrics["kino_ready"] == 0 }
    # A process that takes the place of one of them has workers.
    Process.kill("KILL", stats["process_status"].first["pid"])
    eventually("it is ready again") { ready.call == [200, "ready\n"] }
    File.write(File.join(directory, "go"), "")
    eventually("none is held") { stats["in_flight"].zero? }
    assert_equal [200, "ready\n"], ready.call
    stop
  ensure
    clients&.each(&:close)
  end

  def test_operators_reach_all_processes
    start "--log-requests", "--access-log", "access.log"
    requests(1)
    log = File.join(directory, "access.log")
    eventually("it is logged") { File.size?(log) }
    File.rename(log, "#{log}.1")
    assert_equal 200, ask("/reload", method: "POST").status
    eventually("it is opened again") { File.exist?(log) }
    eventually("both log more") { ask("/log-level?debug", method: "POST").body.match?(/(process \d+: level debug.*){2}/) }
    assert_match(/\Acannot log from/, ask("/log-level?dbug", method: "POST").body)
    status, output = Child.output(File.join(Child::ROOT, "exe/kino"), "ctl", "--control", "unix://#{control}", "stats")
    assert_equal 0, status
    assert_match(/^processes +2$/, output)
    assert_match(/^pid +served/, output)
    assert_equal 200, ask("/stop", method: "POST").status
    assert_equal 0, @child.status, @child.log
  end

  def test_a_control_process_that_ends_is_replaced_and_knows_the_state
    start
    own = control_pid
    Process.kill("KILL", own)
    @child.await_line(/the control process \(pid #{own}\) ended with signal 9 \(KILL\)/)
    eventually("it answers") { ask("/ready").status == 200 }
    requests(3)
    count_of(3)
    assert_equal 2, stats["processes"]
    stop
  end

  def test_the_control_plane_goes_to_a_new_program
    start
    requests(3)
    @child.signal("USR2")
    fresh = Integer(@child.await_line(/the new process \(pid (\d+)\) is ready/)[1])
    eventually("the old one has ended") { !running?(@child.pid) }
    assert_equal 0, stats["served"]
    eventually("it is ready") { ask("/ready").status == 200 }
    Process.kill("TERM", fresh)
    eventually("it has ended") { !File.exist?(control) }
  end

  # --- what the sums are made of ---

  def metrics_text(served, connections, longest)
    "# HELP kino_requests_served_total Served.\n# TYPE kino_requests_served_total counter\nkino_requests_served_total #{served}\n" \
      "# HELP kino_connections Open.\n# TYPE kino_connections gauge\nkino_connections #{connections}\n" \
      "# HELP kino_worker_longest_request_seconds Oldest.\n# TYPE kino_worker_longest_request_seconds gauge\nkino_worker_longest_request_seconds #{longest}\n" \
      "# HELP kino_d_seconds Time.\n# TYPE kino_d_seconds histogram\nkino_d_seconds_bucket{le=\"+Inf\"} #{served}\nkino_d_seconds_sum 0.5\n"
  end

  def numbers(text) = text.lines.grep_v(/\A#/).to_h { |line| line.chomp.split(/ (?=\S+\z)/) }

  def test_counts_and_histograms_add_up_and_stay_and_other_numbers_are_of_now
    sum = Kino::Processes::MetricsSum.new
    sum.update(1, metrics_text(10, 3, 0.25))
    sum.update(2, metrics_text(5, 4, 1.5))
    both = numbers(sum.text([1, 2], [], open_metrics: false))
    assert_equal %w[15 7 1.5 15 1.0], both.values
    # The second one does not answer: what it counted is still known.
    assert_equal %w[15 3 0.25 15 1.0], numbers(sum.text([1], [], open_metrics: false)).values
    sum.gone(2)
    assert_equal %w[15 3 0.25 15 1.0], numbers(sum.text([1], [], open_metrics: false)).values
    sum.update(3, metrics_text(1, 1, 0))
    assert_equal %w[16 4 0.25 16 1.5], numbers(sum.text([1, 3], [], open_metrics: false)).values
  end

  def test_stats_add_up_and_counts_stay
    sum = Kino::Processes::StatsSum.new
    one = { "served" => 3, "connections" => 2, "mode" => "threaded", "threads" => 1, "queue_time" => { "count" => 3, "sum_seconds" => 0.5 }, "worker_status" => [] }
    sum.update(1, one)
    sum.update(2, one.merge("served" => 4))
    assert_equal({ "served" => 7, "connections" => 4, "mode" => "threaded", "threads" => 1, "queue_time" => { "count" => 6, "sum_seconds" => 1.0 } }, sum.sum([1, 2]))
    sum.gone(2)
    assert_equal [7, 2, 6], [sum.sum([1])["served"], sum.sum([1])["connections"], sum.sum([1])["queue_time"]["count"]]
  end

  def test_processes_that_end_soon_are_replaced_later_and_later
    replacements = Kino::Processes::Replacements.new
    assert_equal 0, replacements.ended(0, 60, 100)
    assert_equal [0], replacements.due(100)
    assert_empty replacements.due(100)
    delays = Array.new(9) { replacements.ended(0, 1, 100) }
    assert_equal [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10], delays
    assert_equal 0, replacements.ended(1, 60, 100), "another process is no worse for it"
    assert_equal 100, replacements.next_at
    assert_equal [1], replacements.due(109.9)
    assert_equal [0], replacements.due(110)
    assert_nil replacements.next_at
    assert_equal [9, 0], [replacements.quick_ends(0), replacements.ended(0, 60, 200)]
  end
end
