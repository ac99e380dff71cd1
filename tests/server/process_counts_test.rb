# frozen_string_literal: true

require_relative "support/process_family"
require_relative "support/server_test"
require "kino/processes/collection"

# What several processes have counted outlives them, and the process that adds it up.
class ProcessCountsTest < ServerTest
  include ProcessFamily

  def start(*arguments)
    Dir.mkdir(File.join(directory, "tmp"))
    start_family(APP, "--processes", "2", *arguments, env: { "TMPDIR" => File.join(directory, "tmp") })
  end

  def stop
    super
    assert_empty Dir.children(File.join(directory, "tmp"))
  end

  # Nil while the process that answers is replaced.
  def ask(path)
    response = Client.open(control) { |client| client.get(path) }
    response.body if response.status == 200
  rescue EOFError, SystemCallError
    nil
  end

  def stats = ask("/stats")&.then { |text| JSON.parse(text) }
  def served = stats&.fetch("served")
  def served_of_metrics = ask("/metrics").to_s[/^kino_requests_served_total (\d+)/, 1]&.to_i

  # What both tell, once both answer.
  def counted
    both = nil
    eventually("both answer") { (both = [served, served_of_metrics]).all? }
    both
  end

  def request(count)
    count.times { Client.open(@child.port) { |client| client.get("/") } }
  end

  def kill_control
    own = control_pid
    kill([own])
    @child.await_line(/the control process \(pid #{own}\) ended with signal 9 \(KILL\)/)
    eventually("another one answers") { stats && control_pid && control_pid != own }
  end

  def test_counts_outlive_the_process_that_adds_them_up_and_those_that_have_counted
    start
    request 20
    eventually("all are counted") { served == 20 && served_of_metrics == 20 }
    victim = members.first
    kill([victim])
    eventually("it is replaced") { members.size == 2 && !members.include?(victim) && stats&.fetch("process_status")&.size == 2 }
    assert_equal [20, 20], counted
    kill_control
    assert_equal [20, 20], counted
    request 5
    eventually("they are added") { served == 25 && served_of_metrics == 25 }
    kill_control
    assert_equal [25, 25], counted
    stop
  end

  # A process that is asked to end leaves what it has counted, whether or not it was asked for.
  def test_what_nobody_has_asked_for_is_counted
    start
    request 30
    kill([control_pid]) # No process collects counts during the restart.
    @child.signal("USR1")
    @child.await_line(/restart: all processes have been replaced/)
    eventually("all is counted") { served == 30 && served_of_metrics == 30 }
    stop
  end

  # Whatever is killed, no number goes back, and at most what a killed process had not told is lost.
  def test_numbers_never_go_back
    seed = ENV.fetch("SEED", Random.new_seed % 10_000).to_i
    random = Random.new(seed)
    start "--max-requests", "40"
    least = [0, 0]
    30.times do
      request(random.rand(20))
      case random.rand(8)
      when 0 then kill([control_pid].compact)
      when 1 then kill([members.sample(random: random)].compact)
      when 2 then @child.signal("USR1")
      end
      now = [served, served_of_metrics]
      least.zip(now).each { |before, after| assert_operator after, :>=, before, "SEED=#{seed}" if after }
      least = least.zip(now).map { |before, after| after || before }
    rescue EOFError, Errno::ECONNRESET
      retry # the process of this request was killed
    end
    eventually("both answer (SEED=#{seed})") { served && served_of_metrics }
    stop
  end

  # --- the files ---

  def collection(path) = Kino::Processes::Collection.new(path)

  def sums(path)
    Kino::Processes::Records.new(path).ended
  end

  def test_a_process_that_has_ended_is_added_once
    records = Kino::Processes::Records.new(directory)
    records.see(1, "stats", JSON.generate("served" => 3))
    records.leave(1, "stats", JSON.generate("served" => 5))
    records.leave(1, "metrics", "# TYPE kino_a_total counter\nkino_a_total 7\n")
    files = Dir.children(directory).to_h { |name| [name, File.read(File.join(directory, name))] }
    assert_equal 5, JSON.parse(collection(directory).stats)["served"]
    assert_equal({ "stats" => { "served" => 5 }, "metrics" => { "kino_a_total" => 7 } }, sums(directory))
    assert_equal ["ended"], Dir.children(directory)
    # Killed before it could remove them.
    files.each { |name, text| File.write(File.join(directory, name), text) }
    assert_equal 5, JSON.parse(collection(directory).stats)["served"]
    assert_equal ["ended"], Dir.children(directory)
  end

  def test_a_directory_that_has_gone_is_no_error
    records = Kino::Processes::Records.new(File.join(directory, "none"))
    records.leave(1, "stats", "{}")
    assert_equal [[], {}, nil], [records.pids, records.ended, records.seen(1, "stats")]
  end
end
