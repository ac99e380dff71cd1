# frozen_string_literal: true

require_relative "support"

# Kino::Channel behaves like Thread::SizedQueue, in all Ractors.
class ChannelTest < CollectionsTest
  def full(capacity = 1) = Kino::Channel.new(capacity).tap { |channel| capacity.times { channel << 0 } }

  def test_it_is_a_queue
    channel = Kino::Channel.new(3)
    assert_predicate channel, :empty?
    assert_same channel, channel << 1
    assert_same channel, channel.push(nil)
    channel << "three"
    assert_equal [3, 3, 3], [channel.size, channel.length, channel.max]
    assert_equal [1, nil, "three"], Array.new(3) { channel.pop }
    assert Ractor.shareable?(channel)
  end

  def test_a_call_waits_only_as_long_as_it_may
    assert_nil full.push(1, timeout: 0)
    assert_nil full.push(1, timeout: 0.001r)
    assert_nil Kino::Channel.new(1).pop(timeout: 0.001)
    assert_nil Kino::Channel.new(1).pop(timeout: -1)
    assert_equal 0, full.pop(timeout: 60)
    assert_equal "channel full", assert_raises(ThreadError) { full.push(1, true) }.message
    assert_equal "channel empty", assert_raises(ThreadError) { Kino::Channel.new(1).pop(true) }.message
    assert_raises(ArgumentError) { full.pop(true, timeout: 1) }
    assert_raises(TypeError) { full.pop(timeout: "soon") }
  end

  def test_a_closed_channel_is_drained
    channel = full(2)
    assert_same channel, channel.close
    assert_predicate channel, :closed?
    assert_raises(ClosedQueueError) { channel << 1 }
    assert_raises(ClosedQueueError) { channel.push(1, true) }
    assert_equal [0, 0, nil, nil], Array.new(4) { channel.pop }
    assert_raises(ThreadError) { channel.pop(true) }
  end

  def test_close_ends_waits
    empty = Kino::Channel.new(1)
    filled = full
    readers = Array.new(3) { asleep { empty.pop } }
    writers = Array.new(3) { asleep { filled << 1 } }
    [empty, filled].each(&:close)
    assert_equal [nil, nil, nil], readers.map(&:value)
    writers.each { |writer| assert_raises(ClosedQueueError) { writer.value } }
    assert_equal 1, filled.size
  end

  def test_each_takes_all_objects
    channel = full(3)
    assert_equal [0, 0], channel.each.first(2)
    channel << 1
    channel.close
    seen = []
    assert_same channel, channel.each { |object| seen << object }
    assert_equal [0, 1], seen
    again = full
    assert_raises(IOError) { again.each { raise IOError } }
    assert_equal(:left, full.each { break :left })
  end

  def test_only_shareable_objects_are_passed_unless_copies_were_asked_for
    channel = Kino::Channel.new(4)
    error = assert_raises(TypeError) { channel << [+"text"] }
    assert_match(/\(Array\).*Ractor\.make_shareable/, error.message)
    assert_raises(TypeError) { channel << Thread.current }
    assert_empty channel
    copying = Kino::Channel.new(4, copy: true)
    original = [+"text"]
    frozen = "frozen"
    copying << original << frozen
    copy = copying.pop
    assert_equal original, copy
    assert Ractor.shareable?(copy)
    refute_predicate original.first, :frozen?
    assert_same frozen, copying.pop
    assert_raises(StandardError) { copying << Thread.current }
  end

  def test_invalid_arguments_are_rejected
    assert_raises(ArgumentError) { Kino::Channel.new(0) }
    assert_raises(RangeError) { Kino::Channel.new(-1) }
    assert_raises(TypeError) { Kino::Channel.new("many") }
    assert_raises(TypeError) { Kino::Channel.new(1).dup }
    assert_raises(TypeError) { Marshal.dump(Kino::Channel.new(1)) }
    assert_raises(NoMethodError) { Kino::Channel.new(1).take(nil, nil) }
  end

  def test_interrupts_end_waits_and_lose_nothing
    empty = Kino::Channel.new(1)
    filled = full
    [-> { empty.pop }, -> { empty.pop(timeout: 3600) }, -> { filled << 1 }, -> { empty.each { nil } }].each do |wait|
      assert_raises(Timeout::Error) { Timeout.timeout(0.01) { wait.call } }
      refute asleep(&wait).kill.join.status
      thread = asleep(&wait)
      thread.raise(IOError, "enough")
      assert_equal "enough", assert_raises(IOError) { thread.value }.message
    end
    reader = asleep { empty.pop }
    empty << 7
    assert_equal [7, 0], [reader.value, filled.pop]
  end

  # All Ractors wait at the same time: more of them than Ruby has shared native threads.
  def test_waiting_ractors_do_not_stop_others
    skip "waiting Ractors stop others on this Ruby, which cannot pin threads" if UNPINNED_THREADS
    channel = Kino::Channel.new(100)
    ractors = Array.new(GC_MODE == "stress" ? 4 : 20) { Ractor.new(channel) { |from| from.each.count } }
    assert_equal 1, result_of(Ractor.new { 1 })
    200.times { |number| channel << number }
    channel.close
    assert_equal 200, ractors.sum { |ractor| result_of(ractor) }
  end

  # Senders and receivers in Ractors and Threads; some receivers give up or are killed. Each object arrives once.
  def test_no_object_is_lost_doubled_or_leaked
    before = alive
    channel = Kino::Channel.new(16)
    each = times(2000)
    senders = [Ractor, Thread, Ractor].each_with_index.map do |kind, index|
      kind.new(channel, index, each) { |to, first, many| many.times { |n| to << Payload.make((first * many) + n) } && nil }
    end
    receive = lambda do |from|
      numbers = []
      until from.closed? && from.empty?
        next unless (payload = from.pop(timeout: 0.001))

        numbers << (payload.intact? ? payload.number : :broken)
      end
      numbers
    end
    threads = Array.new(2) { Thread.new(channel, &receive) }
    ractors = Array.new(2) do
      Ractor.new(channel) { |from| from.each.map { |payload| payload.intact? ? payload.number : :broken } }
    end
    senders.each { |sender| sender.is_a?(Thread) ? sender.join : result_of(sender) }
    channel.close
    received = threads.flat_map(&:value) + ractors.flat_map { |ractor| result_of(ractor) }
    assert_equal (0...(3 * each)).to_a, received.sort
    assert_operator alive, :<=, before + STRAYS
  end

  # Receivers are killed all the time, wherever they are; what they have taken is what they have counted.
  def test_killed_receivers_lose_nothing
    channel = Kino::Channel.new(4)
    taken = Thread::Queue.new
    sender = Thread.new { times(400).times { |number| channel << number } && channel.close }
    until channel.closed? && channel.empty?
      receivers = Array.new(2) { Thread.new { Thread.handle_interrupt(Object => :on_blocking) { loop { taken << (channel.pop || break) } } } }
      Thread.pass
      receivers.each(&:kill).each(&:join)
    end
    sender.join
    assert_equal (0...times(400)).to_a, Array.new(taken.size) { taken.pop }.sort
  end

  # As above, in two Ractors: the killed threads share native threads with others of their Ractor.
  def test_receivers_killed_in_ractors_lose_nothing
    skip "such programs hang on this Ruby, also without kino" if ENDED_THREADS_HANG
    channel = Kino::Channel.new(4)
    many = times(1000)
    receivers = Array.new(2) do |seed|
      Ractor.new(channel, Random.new(seed)) do |from, random|
        taken = []
        until from.closed? && from.empty?
          thread = Thread.new { Thread.handle_interrupt(Object => :on_blocking) { loop { taken << (from.pop || break) } } }
          random.rand(3).zero? ? sleep(0.0001) : Thread.pass
          thread.kill.join
        end
        taken
      end
    end
    many.times { |number| channel << number }
    channel.close
    assert_equal (0...many).to_a, receivers.flat_map { |ractor| result_of(ractor) }.sort
  end

  # Ractors that end by an exception while others wait: each object was taken once, and the channel goes on.
  def test_ractors_that_raise_stop_no_other
    before = alive
    channel = Kino::Channel.new(2)
    ractors = (1..4).map do |many|
      Ractor.new(channel, many) { |from, count| raise IOError, Array.new(count) { from.pop.number }.join(" ") }
    end
    elsewhere { 10.times { |number| channel << Payload.make(number) } && nil }
    taken = ractors.flat_map { |ractor| assert_raises(Ractor::RemoteError) { result_of(ractor) }.cause.message.split }
    assert_equal (0..9).to_a, taken.map(&:to_i).sort
    assert_operator alive, :<=, before + STRAYS
    assert_same :next, (channel << :next).pop
  end

  def test_unreachable_channels_are_collected_with_their_contents
    before = alive
    channels = alive(Kino::Channel)
    elsewhere do
      times(100).times do |number|
        channel = Kino::Channel.new(4)
        channel << channel << Payload.make(number) << Ractor.make_shareable([channel])
      end
      nil
    end
    assert_operator alive, :<=, before + STRAYS
    assert_operator alive(Kino::Channel), :<=, channels + STRAYS
  end

  def test_what_is_in_a_channel_stays_alive
    channel = Kino::Channel.new(times(1000))
    elsewhere { channel.max.times { |number| channel << Payload.make(number) } && nil }
    alive
    GC.compact if GC.respond_to?(:compact) && !CRASHING_CHILDREN
    assert_equal (0...channel.max).to_a, Array.new(channel.max) { channel.pop }.select(&:intact?).map(&:number)
  end

  # Without a write barrier, minor collections free what an old channel was given later.
  def test_an_old_channel_keeps_young_objects
    channel = Kino::Channel.new(300)
    alive
    elsewhere { channel.max.times { |number| channel << Payload.make(number) } && nil }
    collect_young_objects
    assert_equal (0...channel.max).to_a, Array.new(channel.max) { channel.pop }.select(&:intact?).map(&:number)
  end

  def test_an_inherited_channel_says_that_it_belongs_to_another_process
    channel = full
    waiting = asleep { Kino::Channel.new(1).pop }
    succeeds_in_child do
      error = begin
        channel.pop
      rescue RuntimeError => e
        e.message
      end
      own = Kino::Channel.new(1)
      reader = Thread.new { own.pop }
      own << :here
      GC.start
      channel.close
      error.match?(/made before fork; make one in the child/) && reader.value == :here
    end
    waiting.kill
    assert_equal 0, channel.pop
  end

  # Random calls in one thread, compared with an Array.
  def test_it_agrees_with_a_model
    @seed = Random.new_seed % 100_000
    random = Random.new(@seed)
    times(40).times do
      channel = Kino::Channel.new(capacity = random.rand(1..8))
      model = []
      closed = false
      100.times do |step|
        value = random.rand(3).zero? ? Payload.make(step) : step
        refusal = closed ? ClosedQueueError : (ThreadError if model.size == capacity)
        case random.rand(5)
        when 0 then agree refusal || channel, outcome { channel.push(value, true) }
        when 1
          refusal = nil if refusal == ThreadError
          agree closed || model.size == capacity ? refusal : channel, outcome { channel.push(value, timeout: 0) }
          refusal ||= ThreadError if model.size == capacity
        when 2 then agree model.empty? ? ThreadError : model.shift, outcome { channel.pop(true) }
        when 3 then agree model.shift, channel.pop(timeout: 0)
        else closed ||= random.rand(40).zero? && channel.close.closed?
        end
        model << value if refusal.nil? && channel.size > model.size
        agree [model.size, closed], [channel.size, channel.closed?]
      end
      channel.close
      agree model, channel.each.to_a
    end
  end

  def agree(expected, actual)
    assert expected == actual, "expected #{expected.inspect}, got #{actual.inspect}; seed #{@seed}"
  end

  def outcome
    yield
  rescue ClosedQueueError, ThreadError => e
    e.class
  end
end
