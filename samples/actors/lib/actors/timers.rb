# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # The actor that sends messages later: one for all timers, with one native wait.
  class Timers < GenServer
    RETRY = 0.01 # seconds until a full mailbox gets its message

    Timer = Struct.new(:number, :ref, :message, :period)

    def self.service(context)
      entries = context.runtime.entries
      present = entries[:timers]
      return present if present&.alive?

      started = ServerLoop.start(self, [], { isolation: Runtime::RACTORS ? :own : :thread, label: "timers" }, link: false)
      chosen = Names.claim(entries, :timers, started)
      started.stop unless chosen == started # another actor has started one meanwhile
      chosen
    end

    def init
      @table = Timetable.new
      @entries = {}
    end

    def handle_cast(request)
      request => [:after, number, time, ref, message, period]
      add(Timer.new(number, ref, message, period), time)
      [:noreply, *pause]
    end

    def handle_call(request, _from)
      request => [:cancel, number]
      entry = @entries.delete(number)
      [:reply, !entry.nil? && @table.remove(entry), *pause]
    end

    def handle_info(_message)
      now = Actors.now
      while (timer = @table.take_due(now))
        @entries.delete(timer.number)
        fire(timer, now)
      end
      [:noreply, *pause]
    end

    private

    def pause
      @table.empty? ? [] : [[@table.next_time - Actors.now, 0].max]
    end

    def add(timer, time)
      @entries[timer.number] = @table.add(time, timer)
    end

    def fire(timer, now)
      ref, named = target(timer.ref)
      return if !ref&.alive? && !named

      if ref && !ref.send_info(timer.message, full: :drop) && ref.alive?
        add(timer, now + RETRY)
      elsif timer.period
        add(timer, now + timer.period)
      end
    end

    # The actor, nil if none has the name; and whether it was given by its name.
    def target(given)
      given.is_a?(Named) ? [given.whereis, true] : [given, false]
    rescue Error # its registry has ended
      [nil, true]
    end
  end
  private_constant :Timers

  # Sends `message` to `ref` after `seconds`: to the actor that has the name then, if it is one (`Actors[:name]`). Returns a number
  # for `cancel_timer`.
  def send_after(seconds, ref, message)
    start_timer(seconds, ref, message, nil)
  end

  # Sends `message` to `ref` every `seconds`, until it ends; to a name, until `cancel_timer`.
  def interval(seconds, ref, message)
    raise ArgumentError, "an interval must be longer than 0 s, not #{seconds.inspect}" unless seconds.is_a?(Numeric) && seconds > 0

    start_timer(seconds, ref, message, seconds)
  end

  # Returns whether the timer was still to send something.
  def cancel_timer(timer)
    Timers.service(Context.current).call(:cancel, timer)
  end

  private

  def start_timer(seconds, ref, message, period)
    Ref.of(ref) unless ref.is_a?(Named)
    context = Context.current
    time = context.deadline_after(seconds) or raise ArgumentError, "a timer needs a number of seconds"
    number = Native.next_number
    service = Timers.service(context)
    # No call: a timer is set in the order of the mailbox, before the request to cancel it that its number makes possible.
    service.cast(:after, number, time, ref, message, period) or raise Down.new(service, service.reason)
    number
  end
end
