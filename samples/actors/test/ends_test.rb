# frozen_string_literal: true

require_relative "support"

# Ends of actors, monitors and links.
class EndsTest < ActorsTest
  each_isolation "every_end_is_seen_with_its_reason" do
    reason_of = lambda do |actor, watch|
      receive { |m| m in [:DOWN, ^watch, _, _] } => [_, _, ^actor, reason]
      refute_predicate actor, :alive?
      assert_equal reason.to_s, actor.reason.to_s
      reason
    end
    assert_equal :normal, reason_of.(*spawn_monitor { 1 })
    assert_equal :killed, reason_of.(*spawn_monitor { Thread.exit })
    assert_equal :killed, reason_of.(*spawn_monitor { Thread.current.kill })
    assert_equal :bored, reason_of.(*spawn_monitor { Actors.exit(:bored) })
    assert_equal [:reason, { with: "parts" }], reason_of.(*spawn_monitor { Actors.exit([:reason, { with: "parts" }]) })
    assert_equal ZeroDivisionError, reason_of.(*spawn_monitor { 1 / 0 }).error_class
    assert_equal [SystemExit, NoMemoryError, UncaughtThrowError, LocalJumpError].map(&:name), [
      spawn_monitor { Kernel.exit }, spawn_monitor { raise NoMemoryError }, spawn_monitor { throw :up },
      spawn_monitor { Proc.new { next Proc.new { return }.call }.call }
    ].map { |pair| reason_of.(*pair).error_class.name }
  end

  each_isolation "a_crash_has_the_message_and_the_place" do
    _, watch = spawn_monitor { raise ArgumentError, "no luck" }
    receive => [:DOWN, ^watch, _, Actors::Crash(error_class: klass, message: message, backtrace: backtrace)]
    assert_equal [ArgumentError, "no luck"], [klass, message]
    assert_match(/ends_test\.rb/, backtrace.first)
  end

  each_isolation "waiting_actors_can_be_killed" do
    waits = [
      spawn_monitor { receive }, spawn_monitor { sleep(3600) }, spawn_monitor { receive { |m| m == 1 } },
      spawn_monitor(spawn(capacity: 1) { sleep(3600) }) { |full| 2.times { full << 1 } },
      spawn_monitor(spawn { sleep(3600) }) { |silent| silent.call(1) },
      spawn_monitor { trap_exit; receive }
    ]
    waits.each do |actor, watch|
      Actors.exit(actor, :kill)
      assert_equal [:DOWN, watch, actor, :killed], receive
    end
  end

  each_isolation "threads_are_killed_at_once_by_any_actor" do
    reader, writer = IO.pipe
    [-> { Kernel.sleep }, -> { reader.read }, -> { loop { 1 } }, -> { begin loop { 1 } ensure 2 end }].each do |work|
      actor, watch = Actors.spawn_monitor(isolation: :thread, &work)
      spawn(actor) { |victim| Actors.exit(victim, :kill) }
      assert_equal [:DOWN, watch, actor, :killed], receive
    end
    writer.close
  end

  each_isolation "a_monitor_of_an_actor_that_has_ended_tells_at_once" do
    actor, watch = spawn_monitor { Actors.exit(:over) }
    assert_equal [:DOWN, watch, actor, :over], receive
    again = Actors.monitor(actor)
    assert_equal [:DOWN, again, actor, :over], receive
  end

  each_isolation "each_monitor_is_told_once_and_an_ended_one_never" do
    actor = spawn { receive }
    kept = Array.new(3) { Actors.monitor(actor) }
    ended = Actors.monitor(actor)
    assert Actors.demonitor(ended)
    refute Actors.demonitor(ended)
    actor << :end
    assert_equal kept, Array.new(3) { receive[1] }.sort
    late = Actors.monitor(actor)
    Actors.demonitor(late)
    assert_nil Actors.receive(timeout: 0)
  end

  each_isolation "news_of_an_end_go_ahead_of_messages" do
    actor = spawn { receive }
    5.times { |number| Actors.current << number }
    watch = Actors.monitor(actor)
    actor << :end
    await { !actor.alive? }
    assert_equal [:DOWN, watch, actor, :normal], receive
    assert_equal [0, 1], [receive, receive]
  end

  each_isolation "linked_actors_fail_together" do
    me = Actors.current
    chain = spawn(me) do |to|
      last = spawn_link { receive }
      to << [last, spawn_link { receive }]
      receive
    end
    last, middle = receive
    watches = [chain, middle].map { |each| Actors.monitor(each) }
    Actors.exit(last, :broken)
    assert_equal watches.map { |watch| [watch, :broken] }.sort, Array.new(2) { receive.values_at(1, 3) }.sort
  end

  each_isolation "a_normal_end_leaves_linked_actors_alive" do
    actor = spawn(Actors.current) { |to| spawn_link { 1 }; sleep(0.001); to << :still_here; receive }
    assert_equal :still_here, receive
    Actors.exit(actor, :kill)
  end

  each_isolation "an_actor_may_trap_exits_and_unlink" do
    Actors.trap_exit
    child = spawn_link { raise "no luck" }
    assert((receive in [:EXIT, ^child, Actors::Crash(message: "no luck")]))
    child = spawn_link { 1 }
    assert_equal [:EXIT, child, :normal], receive
    child = spawn_link { receive }
    Actors.link(child) # the same link
    Actors.unlink(child)
    Actors.exit(child, :kill)
    await { !child.alive? }
    assert_nil Actors.receive(timeout: 0)
    child = spawn_link { receive { |message| message == :never } }
    Actors.exit(child, :kill)
    await { !child.alive? } # its signal is here, or about to be
    Actors.unlink(child)
    assert_nil Actors.receive(timeout: 0)
    Actors.link(child)
    assert_equal [:EXIT, child, :noproc], receive
    stranger = spawn(Actors.current) { |to| Actors.exit(to, :hello) }
    assert_equal [:EXIT, stranger, :hello], receive
  end

  each_isolation "an_actor_that_does_not_trap_ends_with_a_stranger_s_signal" do
    actor, watch = spawn_monitor { receive }
    Actors.exit(actor, :normal) # ignored
    Actors.exit(actor, :please)
    assert_equal [:DOWN, watch, actor, :please], receive
  end

  each_isolation "stop_waits_for_the_end" do
    actor = spawn { receive }
    assert_equal :normal, actor.stop
    assert_equal :normal, actor.stop
    refute_predicate actor, :alive?
    assert_equal :bye, spawn { sleep(3600) }.then { |each| Actors.exit(each, :bye) && each.stop }
  end

  def relations(ref) = Actors.class_eval("Native", __FILE__, __LINE__).relation_count(ref)

  each_isolation "links_and_monitors_leave_nothing_behind" do
    Actors.trap_exit
    actor = spawn { receive }
    watches = Array.new(3) { Actors.monitor(actor) }
    Actors.link(actor)
    assert_equal [1, 4], [relations(Actors.current), relations(actor)]
    watches.each { |watch| Actors.demonitor(watch) }
    assert_equal [1, 1], [relations(Actors.current), relations(actor)]
    Actors.unlink(actor)
    assert_equal [0, 0], [relations(Actors.current), relations(actor)]
    10.times { receive => [:EXIT, _, :normal] if spawn_link { 1 } }
    assert_equal 0, relations(Actors.current)
    Actors.link(actor)
    actor << :end
    receive => [:EXIT, ^actor, :normal]
    assert_equal [0, 0], [relations(Actors.current), relations(actor)]
  end

  def test_a_ractor_that_an_actor_ends_has_a_successor
    skip "this Ruby has no Ractors for actors" unless Actors::Runtime::RACTORS
    20.times do
      actor, watch = Actors.spawn_monitor { Thread.exit }
      assert_equal [:DOWN, watch, actor, :killed], receive
    end
    me = Actors.current
    4.times { Actors.spawn { me << :alive } }
    assert_equal [:alive] * 4, Array.new(4) { receive }
  end
end
