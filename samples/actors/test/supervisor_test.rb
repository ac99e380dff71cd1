# frozen_string_literal: true

require_relative "support"

class SupervisorTest < ActorsTest
  # Tells `observer` of its start and of its end.
  class Worker < Actors::GenServer
    def init(observer, id, how = :works)
      Actors.trap_exit if how == :stubborn
      raise "no start" if how == :fails

      @id = id
      @how = how
      @observer = observer
      observer << [:started, id]
    end

    def crash = raise("crash of #{@id}")
    def finish(reason) = Actors.exit(reason)
    def id = @id

    def terminate(reason)
      @observer << [:ended, @id, reason.is_a?(Actors::Crash) ? :crash : reason]
      Actors.sleep(3600) if @how == :stubborn
    end
  end

  def homes = { isolation: @isolation }

  def supervisor(strategy = :one_for_one, ids = %i[a b c], child: {}, **flags)
    me = Actors.current
    home = homes
    Actors::Supervisor.start(strategy: strategy, **flags, **home) do
      ids.each { |id| child Worker, me, id, id: id, name: [me.id, id], **home, **child }
    end
  end

  def ref(id) = Actors[[Actors.current.id, id]].whereis
  def events(count) = Array.new(count) { receive }
  def started(*ids) = ids.map { |id| [:started, id] }
  def ended(*ids, reason: :shutdown) = ids.map { |id| [:ended, id, reason] }

  each_isolation "children_start_in_order_and_end_in_reverse" do
    top = supervisor
    assert_equal started(:a, :b, :c), events(3)
    top.stop
    assert_equal ended(:c, :b, :a), events(3)
    assert_equal [nil] * 3, %i[a b c].map { |id| ref(id) }
  end

  {
    one_for_one: [[:started, :b]],
    one_for_all: [[:ended, :c, :shutdown], [:ended, :a, :shutdown], [:started, :a], [:started, :b], [:started, :c]],
    rest_for_one: [[:ended, :c, :shutdown], [:started, :b], [:started, :c]]
  }.each do |strategy, effects|
    each_isolation "#{strategy}_restarts_what_it_should" do
      top = supervisor(strategy)
      events(3)
      ref(:b).cast(:crash)
      assert_equal [[:ended, :b, :crash], *effects], events(1 + effects.size)
      assert_equal({ specs: 3, active: 3, supervisors: 0, workers: 3 }, Actors::Supervisor.count_children(top))
      top.stop
    end
  end

  each_isolation "each_kind_of_child_is_restarted_when_it_should_be" do
    { permanent: [true, true, true], transient: [false, false, true], temporary: [false, false, false] }.each do |restart, expected|
      restarted = [:normal, :shutdown, :other].map do |reason|
        top = supervisor(:one_for_one, [:a], child: { restart: restart })
        events(1)
        watch = Actors.monitor(child = ref(:a))
        child.cast(:finish, reason)
        receive { |message| message in [:DOWN, ^watch, _, _] } # the supervisor was linked before, so it knows
        Actors::Supervisor.count_children(top)[:active] == 1
      ensure
        top.stop
        nil while Actors.receive(timeout: 0)
      end
      assert_equal expected, restarted, restart
    end
  end

  each_isolation "too_many_restarts_end_the_supervisor" do
    top = supervisor(:one_for_one, %i[a b], max_restarts: 2, max_seconds: 60)
    watch = Actors.monitor(top)
    events(2)
    3.times do |round|
      await { ref(:a) }
      ref(:a).cast(:crash)
      receive { |message| message == [:ended, :a, :crash] }
      assert_equal [:started, :a], receive if round < 2
    end
    assert_equal [[:DOWN, watch, top, :shutdown], *ended(:b)], events(2).sort_by { |event| -event.size }
  end

  each_isolation "a_child_that_does_not_start_ends_those_before" do
    me = Actors.current
    home = homes
    error = assert_raises(Actors::Down) do
      Actors::Supervisor.start(**home) do
        child Worker, me, :a, id: :a, **home
        child Worker, me, :b, :fails, id: :b, **home
      end
    end
    assert_match(/no start/, error.message)
    assert_equal started(:a) + ended(:a), events(2)
  end

  each_isolation "a_child_that_does_not_end_in_time_is_killed" do
    me = Actors.current
    home = homes
    top = Actors::Supervisor.start(**home) { child Worker, me, :a, :stubborn, shutdown: 0.01, **home }
    child = Actors::Supervisor.which_children(top).first.ref
    top.stop
    assert_equal :killed, child.reason
    top = Actors::Supervisor.start(**home) { child Worker, me, :b, shutdown: :brutal_kill, **home }
    child = Actors::Supervisor.which_children(top).first.ref
    top.stop
    assert_equal :killed, child.reason
    assert_equal [[:started, :a], [:ended, :a, :shutdown], [:started, :b]], events(3)
  end

  class Blocked < Actors::GenServer
    def init = [:continue, 1]
    def handle_continue(_) = Kernel.sleep
  end

  each_isolation "a_thread_that_blocks_outside_of_actors_is_killed_in_time" do
    home = homes
    top = Actors::Supervisor.start(**home) { child Blocked, shutdown: 0.01, isolation: :thread }
    child = Actors::Supervisor.which_children(top).first.ref
    top.stop(timeout: 30)
    assert_equal :killed, child.reason
  end

  each_isolation "children_are_added_ended_and_removed" do
    top = supervisor(:one_for_one, [:a])
    added = Actors::Supervisor.start_child(top, Worker, Actors.current, :z, id: :z, **homes)
    assert_equal :z, added.call(:id)
    assert_equal :already_present, assert_raises(Actors::Down) { Actors::Supervisor.start_child(top, Worker, Actors.current, :z, id: :z) }.reason
    assert_equal false, Actors::Supervisor.delete_child(top, :z)
    assert_equal true, Actors::Supervisor.terminate_child(top, :z)
    refute_predicate added, :alive?
    refute_equal added, Actors::Supervisor.restart_child(top, :z)
    assert_equal :running, assert_raises(Actors::Down) { Actors::Supervisor.restart_child(top, :z) }.reason
    Actors::Supervisor.terminate_child(top, :z)
    assert_equal true, Actors::Supervisor.delete_child(top, :z)
    assert_equal [:a], Actors::Supervisor.which_children(top).map(&:id)
    assert_equal false, Actors::Supervisor.terminate_child(top, :z)
    assert_equal :not_found, assert_raises(Actors::Down) { Actors::Supervisor.restart_child(top, :z) }.reason
    top.stop
  end

  class Branch < Actors::Supervisor
    def init(observer, home)
      strategy :one_for_all, max_restarts: 0
      child Worker, observer, :leaf, name: [:leaf, home], isolation: home
    end
  end

  each_isolation "a_supervisor_that_gives_up_is_restarted_by_its_own" do
    me = Actors.current
    home = homes
    top = Actors::Supervisor.start(**home) { child Branch, me, home[:isolation], **home }
    assert_equal started(:leaf), events(1)
    Actors[[:leaf, @isolation]].cast(:crash)
    assert_equal [[:ended, :leaf, :crash], [:started, :leaf]], events(2)
    assert_equal({ specs: 1, active: 1, supervisors: 1, workers: 0 }, Actors::Supervisor.count_children(top))
    top.stop
    assert_equal ended(:leaf), events(1)
  end

  each_isolation "a_killed_supervisor_takes_its_children_with_it" do
    top = supervisor(:one_for_one, %i[a b])
    events(2)
    Actors.exit(top, :kill)
    assert_equal ended(:a, :b, reason: :killed).sort, events(2).sort
  end

  each_isolation "significant_children_end_their_supervisor" do
    top = supervisor(:one_for_one, %i[a b], child: { restart: :transient, significant: true }, auto_shutdown: :all_significant)
    watch = Actors.monitor(top)
    events(2)
    ref(:a).cast(:finish, :normal)
    assert_equal ended(:a, reason: :normal), events(1)
    assert_predicate top, :alive?
    ref(:b).cast(:finish, :normal)
    assert_equal [[:DOWN, watch, top, :shutdown], *ended(:b, reason: :normal)], events(2).sort_by { |event| -event.size }
  end

  def test_wrong_options_are_explained
    error = ->(**options) { assert_raises(ArgumentError) { Actors::Supervisor.start { child Worker, **options } }.message }
    assert_match(/restart:/, error.(restart: :sometimes))
    assert_match(/shutdown:/, error.(shutdown: "soon"))
    assert_match(/significant/, error.(significant: true))
    assert_match(/no start_link/, assert_raises(ArgumentError) { Actors::Supervisor.start { child String } }.message)
    assert_match(/strategy/, assert_raises(Actors::Down) { Actors::Supervisor.start(strategy: :all) {} }.message)
    assert_match(/auto_shutdown:/, assert_raises(Actors::Down) { Actors::Supervisor.start(auto_shutdown: :significant) {} }.message)
    me = Actors.current
    assert_match(/two children/, assert_raises(Actors::Down) { Actors::Supervisor.start { 2.times { child Worker, me, 1 } } }.message)
  end

  each_isolation "dynamic_children_come_and_go" do
    top = Actors::DynamicSupervisor.start(max_children: 3, **homes)
    children = %i[a b c].map { |id| Actors::DynamicSupervisor.start_child(top, Worker, Actors.current, id, restart: :transient, **homes) }
    assert_equal started(:a, :b, :c), events(3)
    start = -> { Actors::DynamicSupervisor.start_child(top, Worker, Actors.current, :d, **homes) }
    assert_equal :max_children, assert_raises(Actors::Down, &start).reason
    assert_equal true, Actors::DynamicSupervisor.terminate_child(top, children[0])
    assert_equal false, Actors::DynamicSupervisor.terminate_child(top, children[0])
    assert_equal ended(:a), events(1)
    children[1].cast(:crash)
    assert_equal [[:ended, :b, :crash], [:started, :b]], events(2)
    children[2].cast(:finish, :normal)
    assert_equal ended(:c, reason: :normal), events(1)
    await { Actors::DynamicSupervisor.count_children(top) == 1 } # it hears of the end after `terminate`
    start.call
    assert_equal 2, Actors::DynamicSupervisor.which_children(top).size
    top.stop
    assert_equal started(:d) + ended(:b, :d), events(1) + events(2).sort
  end
end
