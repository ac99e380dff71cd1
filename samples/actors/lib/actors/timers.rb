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

    def handle_call(request, _from)
      case request
      in [:after, number, time, ref, message, period]
        add(Timer.new(number, ref, message, period), time)
        answer = true
      in [:cancel, number]
        entry = @entries.delete(number)
        answer = !entry.nil? && @table.remove(entry)
      end
      [:reply, answer, *pause]
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
      return unless timer.ref.alive?

      if !timer.ref.send_info(timer.message, full: :drop) && timer.ref.alive?
        add(timer, now + RETRY)
      elsif timer.period
        add(timer, now + timer.period)
      end
    end
  end
  private_constant :Timers

  # Sends `message` to `ref` after `seconds`. Returns a number for `cancel_timer`.
  def send_after(seconds, ref, message)
    start_timer(seconds, ref, message, nil)
  end

  # Sends `message` to `ref` every `seconds`, until it ends.
  def interval(seconds, ref, message)
    start_timer(seconds, ref, message, seconds)
  end

  # Returns whether the timer was still to send something.
  def cancel_timer(timer)
    Timers.service(Context.current).call(:cancel, timer)
  end

  private

  def start_timer(seconds, ref, message, period)
    context = Context.current
    number = Native.next_number
    Timers.service(context).call(:after, number, context.now + seconds, ref, message, period)
    number
  end
end
