# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # What an actor knows of itself: the Ruby half of it, which only the thread that runs it uses.
  #
  # An actor runs in turns. A turn ends when there is nothing to do, or waits in the middle (`suspend`): then the thread
  # sleeps, or a worker lets other actors run.
  class Context
    NONE = Ractor.make_shareable(Object.new)
    KEY = :kino_actors_context

    attr_reader :ref, :runtime, :plan
    attr_writer :trap_exit

    # That of the actor that runs. Other code gets one that is no actor's, for its Thread.
    def self.current
      Thread.current[KEY] ||= new(Plan.visitor, Parking)
    end

    # `home` lets the actor wait.
    def initialize(plan, home)
      @plan = plan
      @ref = plan.ref
      @runtime = plan.runtime
      @home = home
      @monitors = {}
      @exits = []
      @trap_exit = false
      @ended = false
    end

    def ended? = @ended
    def now = @runtime.now

    # Runs the actor until there is nothing to do. Returns the time at which it wants to run again without a message, or nil.
    def turn
      Thread.current[KEY] = self
      reason = :killed # unless something else ends the turn
      @actor ||= create_actor
      again = @actor.turn
      reason = again == :ended ? :normal : nil
      again
    rescue Exit => e
      Native.begin_end(@ref)
      reason = e.brutal? ? e.reason : conclude(e.reason)
      nil
    rescue Exception => e # any exception is the reason of the end
      Native.begin_end(@ref)
      reason = conclude(crash(e))
      nil
    ensure
      finish(reason) if reason
    end

    def create_actor
      Telemetry.emit(@runtime, :start, @ref)
      @plan.behaviour.new(self, *@plan.args)
    end

    # For a crash report: the last message and the state, as text, or nil.
    def details
      @actor&.details
    end

    # Ends the actor: its monitors, links and unanswered calls are told the reason.
    def finish(reason)
      Names.release(@runtime, @plan.name, @ref) if @plan.name && !@ended
      @ended = true
      Telemetry.emit(@runtime, :end, @ref, reason: reason) if Native.finish(@ref, reason)
    end

    # Ends an actor that cannot run.
    def fail(error)
      finish(crash(error))
    end

    # Between two effects on other actors.
    def interleave
      @home.interleave(self)
    end

    def slice_over? = @home.slice_over?

    # Waits until the actor is woken, or until `deadline`. It may be woken without a reason.
    def suspend(deadline)
      @home.suspend(self, deadline)
    end

    # Waits until the block returns something other than NONE: at most `timeout` seconds, then returns NONE.
    def wait(timeout)
      deadline = deadline_after(timeout)
      loop do
        obey_signals
        found = yield
        return found unless NONE.equal?(found)
        return NONE if deadline && now >= deadline

        suspend(deadline)
      end
    end

    # nil, if `seconds` is.
    def deadline_after(seconds)
      return unless seconds

      deadline = now + seconds if seconds.is_a?(Numeric)
      return deadline if deadline.is_a?(Float) && !deadline.nan?

      raise ArgumentError, "#{seconds.inspect} is no number of seconds"
    end

    def pause(seconds)
      wait(seconds) { NONE }
      seconds
    end

    # Starts an actor. The block is called with its reference before it runs.
    def spawn(behaviour, args, link: false, isolation: nil, capacity: 1024, label: nil, name: nil, &created)
      interleave
      @runtime.spawn(behaviour, args, isolation: isolation, capacity: capacity, label: label, parent: @ref, name: name) do |ref|
        created&.call(ref)
        Native.link(@ref, ref, Native.next_number) if link
      end
    end

    def call(ref, request, timeout)
      raise ArgumentError, "#{ref.inspect} calls itself, and would wait for its own answer: call the method, or use cast" if ref == @ref

      interleave
      deadline = deadline_after(timeout)
      call = Shared.named(request, "the request") { send_to(ref, timeout) { Native.request(ref, @ref, request, false) } }
      timed_out(ref, "had room for #{Report.text(request)}", timeout) if NONE.equal?(call)
      raise Down.new(ref, ref.reason) unless call

      await(ref, call, timeout, deadline && (deadline - now)) { "answered #{Report.text(request)}" }
    end

    # As `call`, of the runtime: ahead of the messages that wait.
    def ask(ref, request, timeout)
      ref = Ref.of(ref)
      call = Native.request(ref, @ref, request, true)
      raise Down.new(ref, ref.reason) unless call

      await(ref, call, timeout) { "answered #{request.first.inspect}" }
    end

    # The answer to a Call. The block says what the actor has not done if there is none within `timeout` seconds, of which `left`
    # are left.
    def await(ref, call, timeout, left = timeout)
      case wait(left) { call.outcome || NONE }
      when :answered
        value = call.value
        value.is_a?(Failure) ? raise(value.to_error) : value
      when :abandoned
        await_end(ref, left) if Native.ending?(ref) # the collector may have taken its right to answer before
        raise Down.new(ref, ref.reason) unless ref.alive?

        raise Down.new(ref, :unanswered, "#{ref.inspect} is alive, and will not answer: it has dropped the request")
      else timed_out(ref, yield, timeout)
      end
    end

    # Waits for the end of the actor, which the block, if any, asks for. Returns its :DOWN message, or nil after `timeout` seconds.
    def await_end(ref, timeout)
      watch = monitor(ref)
      yield if block_given?
      receive(timeout, ->(message) { message in [:DOWN, ^watch, _, _] })
    ensure
      demonitor(watch)
    end

    # Whether the message is delivered.
    def deliver(ref, kind, message, full)
      interleave
      Shared.named(message, "the message") do
        next send_to(ref, nil) { Native.push(ref, kind, message) } if full == :block
        raise ArgumentError, "full: must be :block, :drop or :raise, not #{full.inspect}" unless %i[drop raise].include?(full)

        sent = Native.push(ref, kind, message)
        Telemetry.emit(@runtime, :mailbox_full, ref, size: ref.size) if sent.nil?
        raise MailboxFull.new(ref) if sent.nil? && full == :raise

        sent || false
      end
    end

    def stop(ref, reason, timeout)
      down = await_end(ref, timeout) { Native.push_ahead(ref, Kind::SYSTEM, [:stop, reason], nil) }
      raise CallTimeout.new(ref, "ended", timeout) unless down

      down[3]
    end

    def exit(ref, reason)
      ref = Ref.of(ref)
      interleave
      Native.push_ahead(ref, Kind::EXIT, reason, @ref)
      obey_signals if ref == @ref
      @runtime.kill_thread(ref.id) if reason == :kill
      reason
    end

    def monitor(ref)
      ref = Ref.of(ref)
      interleave
      watch = Native.next_number
      @monitors[watch] = ref
      Native.watch(ref, @ref, watch)
    end

    def demonitor(watch)
      interleave
      ref = @monitors.delete(watch)
      Native.forget(ref, watch) if ref
      !ref.nil?
    end

    def link(ref)
      ref = Ref.of(ref)
      interleave
      return ref if ref == @ref || Native.link(@ref, ref, Native.next_number)

      @exits << [:EXIT, ref, :noproc].freeze
      raise Exit.new(:noproc) unless @trap_exit
      ref
    end

    def unlink(ref)
      ref = Ref.of(ref)
      interleave
      Native.unlink(@ref, ref)
      @exits.reject! { |_, from, _| from == ref }
      ref
    end

    # Ends the actor, or makes messages of them, if there are signals. An actor that traps exits still ends with its parent
    # if it is a server.
    def obey_signals
      while Native.take_signal(@ref)
        _, from, reason = signal = Native.body(@ref)
        raise Exit.new(:killed, brutal: true) if reason == :kill

        if @trap_exit && !(@plan.behaviour.obeys_parent? && from == @plan.parent)
          @exits << signal
        elsif reason != :normal
          raise Exit.new(reason)
        end
      end
    end

    private

    def timed_out(ref, done, seconds)
      Telemetry.emit(@runtime, :call_timeout, ref, seconds: seconds)
      raise CallTimeout.new(ref, done, seconds)
    end

    # Repeats the block, which sends something, while the mailbox is full.
    def send_to(ref, timeout)
      sent = yield
      return sent unless sent.nil? # the mailbox is full

      wait(timeout) do
        sent = yield
        sent = yield while sent.nil? && !Native.wake_on_room(ref, @ref)
        sent.nil? ? NONE : sent
      end
    end

    # The reason of the end, once the actor has had the opportunity to clean up.
    def conclude(reason)
      @actor&.terminate(reason)
      reason
    rescue Exit => e
      e.reason
    rescue Exception => e
      crash(e)
    end

    def crash(error)
      Crash.of(error).tap { |crash| Report.crash(self, crash) }
    end
  end
end
