# frozen_string_literal: true

require_relative "support"
require "open3"

# Messages, mailboxes and references.
class MessagesTest < ActorsTest
  each_isolation "messages_arrive_in_order_and_the_answers_too" do
    echo = spawn { loop { receive => [sender, content]; sender << content } }
    100.times { |number| echo << [Actors.current, number] }
    assert_equal (0...100).to_a, Array.new(100) { receive }
  end

  each_isolation "a_message_is_a_frozen_copy" do
    text = +"text"
    echo = spawn { receive => [sender, content]; sender << [content.frozen?, content] }
    echo << [Actors.current, [text]]
    text << " changed"
    assert_equal [true, ["text"]], receive
  end

  each_isolation "what_cannot_be_copied_is_named" do
    actor = spawn { receive }
    error = assert_raises(TypeError) { actor << { log: [1, Thread.current] } }
    assert_match(/the message\[:log\]\[1\] \(Thread\) cannot be passed/, error.message)
    assert_match(/the request\[1\] \(Thread\) cannot be passed/, assert_raises(TypeError) { actor.call(:x, Thread.current) }.message)
    actor << :end
  end

  each_isolation "a_full_mailbox_makes_senders_wait" do
    actor, watch = spawn_monitor(Actors.current, capacity: 2) { |to| receive { |m| m == :go }; 5.times { to << receive } }
    actor << :a << :b
    assert_equal false, actor.cast(:c, full: :drop)
    assert_raises(Actors::MailboxFull) { actor.cast(:c, full: :raise) }
    assert_raises(ArgumentError) { actor.cast(:c, full: :explode) }
    assert_equal 2, actor.size
    Actors.exit(actor, :enough)
    assert_equal [:DOWN, watch, actor, :enough], receive
    assert_equal false, actor.cast(:late)
  end

  each_isolation "a_sender_continues_when_there_is_room" do
    slow = spawn(Actors.current, capacity: 1) { |to| receive { |m| m in [:go] }; to << Array.new(9) { receive } }
    sender = spawn(slow) { |to| to << [:go]; 9.times { |number| to << number } }
    assert_equal (0...9).to_a, receive
    refute_nil Actors.monitor(sender)
    assert_equal :normal, receive[3]
  end

  each_isolation "a_sender_continues_when_the_receiver_ends" do
    full = spawn(capacity: 1) { sleep(3600) }
    full << 1
    sender, = spawn_monitor(full) { |to| to << 2 }
    await { sender.arrived.zero? && sender.alive? }
    Actors.exit(full, :gone)
    assert_equal :normal, receive[3]
  end

  each_isolation "selective_receive_leaves_the_others_in_order" do
    actor = spawn(Actors.current) do |to|
      first = receive { |m| m in [:b, _] }
      to << [first, receive, receive, receive { |m| m == :last }, receive(timeout: 0)]
    end
    actor << [:a, 1] << [:b, 2] << [:a, 3] << :last
    assert_equal [[:b, 2], [:a, 1], [:a, 3], :last, nil], receive
  end

  each_isolation "arguments_are_passed_and_bare_functions_work" do
    spawn(Actors.current, [+"x"]) { |to, list| to << [current.label, list, now.class] }
    label, list, = receive
    assert_equal ["x"], list
    assert_match(/actors_test\.rb:\d+/, label)
  end

  def test_blocks_of_other_ractors_use_shareable_variables_only
    skip "this Ruby has no Ractors for actors" unless Actors::Runtime::RACTORS
    text = [+"text"]
    assert_match(/isolation: :thread/, assert_raises(Ractor::IsolationError) { Actors.spawn { text } }.message)
    error = assert_raises(TypeError) { Actors.spawn([Thread.current]) { |thread| thread } }
    assert_match(/argument 1\[0\] \(Thread\)/, error.message)
    me = Actors.current
    Actors.spawn(isolation: :thread) { me << text }
    assert_equal text, receive
  end

  def test_a_ruby_without_ports_says_what_it_lacks
    skip "this Ruby has them" if Actors::Runtime::RACTORS
    assert_match(/Ractor::Port.*isolation: :thread/, assert_raises(Actors::Unsupported) { Actors.spawn(isolation: :own) {} }.message)
  end

  def test_references_are_values
    actor = Actors.spawn { receive }
    Actors.current << [actor]
    copy = receive.first
    assert_equal actor, copy
    assert_equal({ actor => 1 }, { copy => 1 })
    assert Ractor.shareable?(actor)
    refute_equal actor, Actors.current
    actor << :end
  end

  each_isolation "a_thread_actor_may_be_started_anywhere" do
    spawn(Actors.current) { |to| Actors.spawn(to, isolation: :thread) { |again| again << :here } }
    assert_equal :here, receive
  end

  # In a program of its own, whose actors are Threads: without actors, too, a child of a process with Ractors can crash in
  # Ruby's collector.
  def test_a_child_process_has_no_actors_of_its_parent
    code = <<~'RUBY'
      require "actors"
      $stdout.sync = true
      actor = Actors.spawn(isolation: :thread) { receive }
      child = fork do
        begin
          actor << 1
        rescue RuntimeError => e
          puts e.message
        end
        me = Actors.current
        Actors.spawn(me) { |to| to << "a new actor" }
        puts Actors.receive(timeout: 30)
        exit!(0)
      end
      Process.wait(child)
      actor << 1
      puts "the parent's is alive"
    RUBY
    output, = Open3.capture2(ENV.fetch("RUBY", RbConfig.ruby), "-W:no-experimental", "-e", code)
    assert_match(/made before fork.*\na new actor\nthe parent's is alive\n\z/, output)
  end

  # Every message of every sender arrives once and in its order, through small mailboxes.
  each_isolation "nothing_is_lost_among_many" do
    count = times(100)
    sink = spawn(Actors.current, 6 * count, capacity: 3) do |to, wanted|
      seen = Hash.new { |numbers, key| numbers[key] = [] }
      wanted.times { receive => [name, number]; seen[name] << number }
      to << seen.to_a
    end
    6.times { |name| spawn(sink, name, count) { |to, own, last| last.times { |number| to << [own, number] } } }
    all = receive.to_h
    assert_equal 6, all.size
    all.each_value { |numbers| assert_equal (0...count).to_a, numbers }
  end
end
