# frozen_string_literal: true

require_relative "support/server_test"

# Failures while workers start, run and leave.
class SupervisionTest < ServerTest
  # Replaces a singleton method while the block runs.
  def stubbed(object, name, replacement)
    original = object.method(name)
    object.singleton_class.silently_define(name, replacement)
    yield
  ensure
    object.singleton_class.silently_define(name, original)
  end

  class ::Class
    def silently_define(name, body)
      verbose, $VERBOSE = $VERBOSE, nil
      define_method(name, body)
    ensure
      $VERBOSE = verbose
    end
  end

  # Whether a Ractor gets a second native thread then, the kernel's schedule decides: hence several starts. Ruby 3.4
  # still hangs in some of them, although the Ractor's main thread is pinned.
  test "Ractors of several Threads start although Ruby has one native thread for all", modes: [:ractor] do |mode|
    skip "this Ruby can hang with one native thread for all" if RUBY_VERSION >= "3.3" && RUBY_VERSION < "4.0"
    6.times do
      child = Child.kino("-m", mode.to_s, "-w", "3", "-t", "2", File.join(__dir__, "support/echo.ru"), env: { "RUBY_MAX_CPU" => "1" })
      child.signal("TERM")
      assert_equal 0, child.status
    ensure
      child&.finish
    end
  end

  # Specs whose first workers cannot be created.
  def failing_specs(mode, failures)
    spec_class = mode == :ractor ? Kino::Topology::RactorSpec : Kino::Topology::ThreadSpec
    error = mode == :ractor ? Ractor::Error : ThreadError
    left = failures
    original = spec_class.instance_method(:start)
    spec_class.silently_define(:start, proc do
      raise error, "no more of them" if (left -= 1) >= 0

      original.bind_call(self)
    end)
    yield
  ensure
    spec_class.silently_define(:start, original)
  end

  test "a worker that cannot be created is tried again" do |mode|
    log = logged do
      failing_specs(mode, 2) { assert_healthy(serve(Apps::Basic.new, mode)) }
    end
    assert_equal 2, log.scan(/could not start \(\S+: no more of them\); trying again/).size, log
  end

  test "a start without any worker fails with one error" do |mode|
    logged do
      failing_specs(mode, Float::INFINITY) do
        error = assert_raises(Kino::Error) { serve(Apps::Basic.new, mode) }
        assert_match(/no worker could be started: \S+: no more of them/, error.message)
      end
    end
    refute @servers.last.running?
  end

  test "a start that gets only some workers serves with them and gets the others later" do |mode|
    log = logged do
      spec_class = mode == :ractor ? Kino::Topology::RactorSpec : Kino::Topology::ThreadSpec
      original = spec_class.instance_method(:start)
      started = 0
      most = 2
      spec_class.silently_define(:start, proc do
        raise ThreadError, "no more of them" if started >= most

        started += 1
        original.bind_call(self)
      end)
      begin
        server = serve(Apps::Basic.new, mode, workers: 4)
        assert_healthy(server, workers: 2)
        most = 4
        assert_healthy(server, workers: 4)
      ensure
        spec_class.silently_define(:start, original)
      end
    end
    assert_match(/serving with 2 of 4 workers/, log)
  end

  test "a worker that finds no place does not hang the start" do |mode|
    log = logged do
      # A place fewer than workers.
      original = Kino::Server::SPARE_SLOTS
      Kino::Server.send(:remove_const, :SPARE_SLOTS)
      Kino::Server.const_set(:SPARE_SLOTS, -1)
      begin
        server = serve(Apps::Basic.new, mode, workers: 3)
        assert_healthy(server, workers: 2)
      ensure
        Kino::Server.send(:remove_const, :SPARE_SLOTS)
        Kino::Server.const_set(:SPARE_SLOTS, original)
      end
    end
    assert_match(/could not start \(ThreadError: kino: all 2 worker slots are taken/, log)
  end

  test "a worker that is ended before it has joined is noticed", modes: [:threaded] do |mode|
    left = 1
    join = Kino::Native.method(:join)
    log = logged do
      stubbed(Kino::Native, :join, proc { |id| (left -= 1) >= 0 ? Thread.current.kill : join.call(id) }) do
        assert_healthy(serve(Apps::Basic.new, mode))
      end
    end
    assert_match(/could not start \(its thread was ended/, log)
  end

  test "a worker that says nothing is not waited for", modes: [:threaded] do |mode|
    left = 1
    next_event = Kino::Native.method(:next_event)
    log = logged do
      # The first event is lost, and the wait that follows is over at once.
      stubbed(Kino::Native, :next_event, proc do |id, patience|
        if (left -= 1) >= 0
          next_event.call(id, nil)
          [:nothing]
        else
          next_event.call(id, patience)
        end
      end) do
        server = serve(Apps::Basic.new, mode)
        assert_healthy(server)
      end
    end
    assert_match(/could not start \(it said nothing for/, log)
  end

  # In the main Ractor, where the supervisor's thread is.
  class Assassin < Apps::Basic
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

  test "an app that ends the supervisor's thread gets another one", modes: [:threaded] do |mode|
    server = serve(Assassin.new, mode, lint: false)
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

  test "a stop that gets no thread of its own stops in its caller's" do |mode|
    server = serve(Apps::Basic.new, mode)
    stubbed(Thread, :new, proc { |*| raise ThreadError, "no more of them" }) { assert server.shutdown }
  end

  test "a cancelled start leaves nothing behind" do |mode|
    path = File.join(Dir.mktmpdir("kino"), "socket")
    server = Kino::Server.new(Apps.linted(Apps::Basic.new), mode: mode, workers: 2, bind: ["unix://#{path}"])
    logged do
      failing_specs(mode, Float::INFINITY) do
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

  # What a stop does for each idle worker must not grow with their number.
  def objects_to_stop(workers)
    server = serve(Apps::Basic.new, :threaded, workers: workers)
    GC.disable
    before = GC.stat(:total_allocated_objects)
    assert server.shutdown
    GC.stat(:total_allocated_objects) - before
  ensure
    GC.enable
  end

  def test_the_work_of_a_stop_grows_with_the_number_of_workers_and_not_with_its_square
    objects_to_stop(4)
    few = objects_to_stop(32)
    many = objects_to_stop(256)
    assert_operator many, :<, 16 * few, "eight times the workers"
  end
end
