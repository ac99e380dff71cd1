# frozen_string_literal: true

require_relative "support"
require "open3"

# What a program needs besides actors: applications, ports, crash reports, the tree.
class ProgramTest < ActorsTest
  class Counter < Actors::GenServer
    def init(count = 0) = @count = count
    def divide(number) = @count / number
  end

  class Branch < Actors::Supervisor
    def init
      strategy :one_for_one
      child Counter, 7, id: :leaf, label: "leaf"
    end
  end

  def teardown
    super
    Actors.report_crashes = false
  end

  each_isolation "a_crash_report_has_the_message_and_the_state" do
    reports = Kino::Channel.new(10)
    handler = Ractor.make_shareable(Struct.new(:to) { def call(report) = to << report }.new(reports))
    Actors.on_crash(handler)
    server = Counter.start(42, isolation: @isolation)
    assert_raises(Actors::Down) { server.call(:divide, 0) }
    report = reports.pop(timeout: 30)
    assert_equal [server, ZeroDivisionError, "call [:divide, 0]", { :@count => "42" }],
      [report.actor, report.crash.error_class, report.message, report.state]
    assert_match(/Counter> has crashed: ZeroDivisionError: divided by 0\n  last message: call \[:divide, 0\]\n  state: @count=42\n    /, report.to_s)
    spawn { raise IOError, "x" }
    report = reports.pop(timeout: 30)
    assert_equal [IOError, nil, nil], [report.crash.error_class, report.message, report.state]
    _, watch = spawn_monitor { Actors.exit(:quietly) }
    receive { |message| message in [:DOWN, ^watch, _, _] }
    assert_nil reports.pop(timeout: 0)
  end

  def test_crashes_are_written_to_standard_error
    code = 'require "actors"; a, w = Actors.spawn_monitor { raise "no luck" }; Actors.receive'
    _, errors, = Open3.capture3(ENV.fetch("RUBY", RbConfig.ruby), "-W:no-experimental", "-e", code)
    assert_match(/\Aactors: #<Actor \d+ -e:1> has crashed: RuntimeError: no luck\n    -e:1/, errors)
  end

  def test_the_tree_shows_supervisors_and_their_children
    top = Actors::Supervisor.start(label: "top") do
      child Counter, 1, id: :one, label: "one"
      child Branch, label: "branch"
      child Actors::DynamicSupervisor, label: "dynamic", id: :dynamic
    end
    dynamic = Actors::Supervisor.which_children(top).last.ref
    Actors::DynamicSupervisor.start_child(dynamic, Counter, label: "inner")
    watch = Actors.monitor(Actors::Supervisor.which_children(top).first.ref)
    Actors.exit(Actors::Supervisor.which_children(top).first.ref, :crash)
    receive { |message| message in [:DOWN, ^watch, _, _] }
    Actors::Supervisor.count_children(top)
    text = Actors.tree(top).gsub(/#\d+/, "#N").gsub(/\d+ arrived/, "N arrived")
    assert_equal <<~TREE.chomp, text
      top #N (0 waiting, N arrived)
      ├── one #N (0 waiting, N arrived, 1 restarts)
      ├── branch #N (0 waiting, N arrived)
      │   └── leaf #N (0 waiting, N arrived)
      └── dynamic #N (0 waiting, N arrived)
          └── inner #N (0 waiting, N arrived)
    TREE
    top.stop
  end

  # The output of a program.
  def run_program(code)
    output, status = Open3.capture2(ENV.fetch("RUBY", RbConfig.ruby), "-W:no-experimental", "-e", "$stdout.sync = true; require 'actors'; #{code}")
    assert_predicate status, :success?
    output
  end

  %w[INT TERM].each do |signal|
    define_method(:"test_an_application_ends_in_order_on_#{signal}") do
      code = <<~RUBY
        class Loud < Actors::GenServer
          def init(id, signal = nil)
            @id = id
            [:continue, signal]
          end
          def handle_continue(signal) = signal && Process.kill(signal, Process.pid)
          def terminate(reason) = $stdout.syswrite("\#{@id} \#{reason}\n")
        end
        p Actors::Application.run(env: { size: 3 }) { child Loud, :a, id: :a; child Loud, :b, "#{signal}", id: :b }
        p Actors.env(:size)
      RUBY
      assert_equal "b shutdown\na shutdown\n:shutdown\n3\n", run_program(code)
    end
  end

  def test_an_application_ends_with_its_supervisor
    application = Actors::Application.start(max_restarts: 0) { child Counter, label: "root child", id: :only }
    assert_match(/root child/, Actors.tree)
    only = Actors::Supervisor.which_children(application.root).first.ref
    waiting = Thread.new { application.wait }
    Actors.exit(only, :crash)
    assert_equal :ended, waiting.value
    assert_equal :shutdown, application.reason
    assert_equal :default, Actors.env(:unknown, :default)
  end

  def port(*command, **options) = Actors::Port.start(*command, **options)

  def test_a_port_exchanges_lines_with_a_process
    sort = port("sort")
    %w[c a b].each { |word| assert_equal :ok, sort.call(:write, "#{word}\n") }
    watch = Actors.monitor(sort)
    assert_equal :ok, sort.call(:close)
    lines = Array.new(3) { receive { |message| message in [:line, ^sort, _] }[2] }
    assert_equal %w[a b c], lines
    assert_equal [:exit, sort, 0], receive { |message| message.first == :exit }
    assert_equal [:DOWN, watch, sort, :normal], receive
  end

  def test_a_port_tells_how_its_process_ended
    failing = port("sh", "-c", "exit 7")
    watch = Actors.monitor(failing)
    assert_equal [:exit, failing, 7], receive { |message| message.first == :exit }
    assert_equal [:exit_status, 7], receive { |message| message in [:DOWN, ^watch, _, _] }[3]
    assert_raises(Actors::Down) { port("no such program") }
    bytes = port("printf", "%s", "no newline", chunks: true)
    assert_equal [:data, bytes, "no newline"], receive { |message| message.first == :data }
  end

  def test_a_process_ends_with_its_port_and_with_its_owner
    killed = port("cat")
    pid = killed.call(:pid)
    Actors.exit(killed, :kill)
    await { gone?(pid) }
    pid = nil
    owner = spawn(isolation: :thread) { pid = Actors::Port.start("cat").call(:pid); receive }
    await { pid }
    Actors.exit(owner, :over)
    await { gone?(pid) }
  end

  def test_a_process_that_does_not_read_makes_its_writers_wait
    port = port("sleep", "60")
    assert_raises(Actors::CallTimeout) { port.call(:write, "x" * 1_000_000, timeout: 0.05) }
    port.stop
  end

  def gone?(pid)
    Process.kill(0, pid)
    false
  rescue Errno::ESRCH
    true
  end
end
