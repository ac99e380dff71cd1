# frozen_string_literal: true

require_relative "support/server_test"

# Failures of workers while they start, run and stop.
class SupervisionTest < ServerTest
  # Replaces a singleton method while the block runs.
  def stubbed(object, name, replacement)
    original = object.method(name)
    object.singleton_class.silently_define(name, replacement)
    yield
  ensure
    object.singleton_class.silently_define(name, original)
  end

  def with_constant(owner, name, value)
    original = owner.send(:remove_const, name)
    owner.const_set(name, value)
    yield
  ensure
    owner.send(:remove_const, name)
    owner.const_set(name, original)
  end

  class ::Class
    def silently_define(name, body)
      verbose, $VERBOSE = $VERBOSE, nil
      define_method(name, body)
    ensure
      $VERBOSE = verbose
    end
  end

  # Whether a Ractor then gets a second native thread depends on scheduling, hence several starts. Ruby 3.4 still hangs in
  # some of them, although the Ractor's main thread is pinned.
  test "Ractors of several Threads start even if Ruby has a single native thread for all Ractors", modes: [:ractor] do |mode|
    skip "this Ruby can hang with a single native thread for all Ractors" if RUBY_VERSION >= "3.3" && RUBY_VERSION < "4.0"
    6.times do
      child = Child.kino("-m", mode.to_s, "-w", "3", "-t", "2", File.join(__dir__, "support/echo.ru"), env: { "RUBY_MAX_CPU" => "1" })
      child.signal("TERM")
      assert_equal 0, child.status
    ensure
      child&.finish
    end
  end

  # While +block+ runs, a worker cannot be created if +fails+ returns true.
  def failing_starts(mode, fails)
    spec_class = mode == :ractor ? Kino::Topology::RactorSpec : Kino::Topology::ThreadSpec
    error = mode == :ractor ? Ractor::Error : ThreadError
    original = spec_class.instance_method(:start)
    spec_class.silently_define(:start, proc do
      raise error, "no more of them" if fails.call

      original.bind_call(self)
    end)
    yield
  ensure
    spec_class.silently_define(:start, original)
  end

  test "the creation of a worker is retried" do |mode|
    failures = 2
    log = logged do
      failing_starts(mode, -> { (failures -= 1) >= 0 }) { assert_healthy(serve(Apps::Basic.new, mode)) }
    end
    assert_equal 2, log.scan(/could not start \(\S+: no more of them\); trying again/).size, log
  end

  test "a start fails with an error if no worker can be created" do |mode|
    logged do
      failing_starts(mode, -> { true }) do
        error = assert_raises(Kino::Error) { serve(Apps::Basic.new, mode) }
        assert_match(/no worker could be started: \S+: no more of them/, error.message)
      end
    end
    refute @servers.last.running?
  end

  test "a server that can start only some workers serves with them and starts the others later" do |mode|
    permitted = 2
    log = logged do
      failing_starts(mode, -> { (permitted -= 1).negative? }) do
        server = serve(Apps::Basic.new, mode, workers: 4)
        assert_healthy(server, workers: 2)
        permitted = 2
        assert_healthy(server, workers: 4)
      end
    end
    assert_match(/serving with 2 of 4 workers/, log)
  end

  test "a worker for which there is no slot does not block the start" do |mode|
    log = logged do
      # One slot fewer than workers.
      with_constant(Kino::Topology, :SPARE_SLOTS, -1) do
        server = serve(Apps::Basic.new, mode, workers: 3)
        assert_healthy(server, workers: 2)
      end
    end
    assert_match(/could not start \(ThreadError: kino: all 2 worker slots are taken/, log)
  end

  test "a worker killed before it has joined is replaced", modes: [:threaded] do |mode|
    left = 1
    join = Kino::Native.method(:join)
    log = logged do
      stubbed(Kino::Native, :join, proc { |*all| (left -= 1) >= 0 ? Thread.current.kill : join.call(*all) }) do
        assert_healthy(serve(Apps::Basic.new, mode))
      end
    end
    assert_match(/could not start \(its thread was ended/, log)
  end

  test "a worker that reports nothing is given up", modes: [:threaded] do |mode|
    left = 1
    next_event = Kino::Native.method(:next_event)
    log = logged do
      # The first event is lost.
      losing = proc do |id, patience|
        next_event.call(id, nil) if (left -= 1) >= 0
        next_event.call(id, patience)
      end
      with_constant(Kino::Supervisor, :JOIN_SECONDS, 0.5) do
        stubbed(Kino::Native, :next_event, losing) { assert_healthy(serve(Apps::Basic.new, mode)) }
      end
    end
    assert_match(/kino worker \d+ could not start \(it did not report for/, log)
  end

  # Other events must not extend the time in which a worker has to report.
  test "a worker that reports nothing is given up although others report all the time", modes: [:threaded] do |mode|
    left = 1
    join = Kino::Native.method(:join)
    lost = proc { |*all| (left -= 1).negative? ? join.call(*all) : Thread.stop }
    next_event = Kino::Native.method(:next_event)
    # No wait for an event times out.
    busy = proc do |id, patience|
      event = next_event.call(id, patience && 0)
      event == [:nothing] ? Thread.pass || [:room_asked] : event
    end
    log = logged do
      with_constant(Kino::Supervisor, :JOIN_SECONDS, 0.5) do
        stubbed(Kino::Native, :next_event, busy) { stubbed(Kino::Native, :join, lost) { assert_healthy(serve(Apps::Basic.new, mode)) } }
      end
    end
    assert_match(/kino worker \d+ could not start \(it did not report for 0\.5 s\)/, log)
  end

  test "a unit whose successor cannot start serves on, and is replaced later", modes: [:ractor] do |mode|
    failures = 0
    log = logged do
      failing_starts(mode, -> { (failures -= 1) >= 0 }) do
        server = serve(Apps::Basic.new, mode, workers: 1, max_requests: 2, max_requests_jitter: 0)
        failures = 3
        eventually("it is replaced") do
          Client.open(server.port) { |client| assert_equal 200, client.get("/").status }
          server.stats[:recycled].positive?
        end
        assert_healthy(server)
        assert_equal 0, server.stats[:respawns]
      end
    end
    assert_equal 3, log.scan("could not start (Ractor::Error: no more of them)").size, log
  end

  # Ends the supervisor's thread, which runs in the main Ractor.
  class SupervisorKiller < Apps::Basic
    def kill(_env)
      Thread.list.find { |thread| thread.name == "kino supervisor" }.kill.join
      Apps.text("killed")
    end

    def disturb(_env)
      Thread.list.find { |thread| thread.name == "kino supervisor" }.raise("from the app")
      Apps.text("disturbed")
    end

    def die(_env)
      raise Exception, "the worker's end"
    end
  end

  test "a supervisor's thread that the app kills is replaced", modes: [:threaded] do |mode|
    server = serve(SupervisorKiller.new, mode, lint: false)
    log = logged do
      5.times do |n|
        Client.open(server.port) { |client| assert_equal "killed", client.get("/kill").body }
        Client.open(server.port) { |client| assert_equal 500, client.get("/die").status }
        eventually("the worker is replaced") { server.stats.values_at(:respawns, :alive) == [n + 1, 2] }
      end
      Client.open(server.port) { |client| assert_equal "disturbed", client.get("/disturb").body }
      assert_healthy(server)
      assert server.shutdown
    end
    assert_operator log.scan("the supervisor's thread was killed; another one replaces it").size, :>=, 5
  end

  test "shutdown runs on its caller's thread if no other can be created" do |mode|
    server = serve(Apps::Basic.new, mode)
    stubbed(Thread, :new, proc { |*| raise ThreadError, "no more of them" }) { assert server.shutdown }
  end

  test "a cancelled start removes its socket" do |mode|
    path = File.join(Dir.mktmpdir("kino"), "socket")
    server = Kino::Server.new(Apps.linted(Apps::Basic.new), mode: mode, workers: 2, bind: ["unix://#{path}"])
    logged do
      failing_starts(mode, -> { true }) do
        starting = Thread.new { server.start }
        starting.report_on_exception = false
        eventually("it listens") { File.socket?(path) }
        server.send(:cancel_start)
        assert_raises(Kino::StartCancelled) { starting.value }
      end
    end
    refute File.exist?(path)
  ensure
    FileUtils.rm_rf(File.dirname(path))
  end

  # The number of objects allocated to stop a server with idle workers.
  def objects_to_stop(workers)
    server = serve(Apps::Basic.new, :threaded, workers: workers)
    GC.disable
    before = GC.stat(:total_allocated_objects)
    assert server.shutdown
    GC.stat(:total_allocated_objects) - before
  ensure
    GC.enable
  end

  def test_the_cost_of_a_shutdown_is_linear_in_the_number_of_workers
    objects_to_stop(4)
    few = objects_to_stop(32)
    many = objects_to_stop(256)
    assert_operator many, :<, 16 * few, "objects for eight times the workers"
  end
end
