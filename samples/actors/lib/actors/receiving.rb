# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Taking messages from the mailbox.
  class Context
    def receive(timeout, match)
      interleave
      Native.search_again(@ref) if match
      message = wait(timeout) { match ? find_message(match) : next_message }
      NONE.equal?(message) ? nil : message
    end

    # The next message, or NONE.
    def next_message
      return @exits.shift unless @exits.empty?

      while (kind = Native.take(@ref))
        next obey(Native.body(@ref)) if kind == Kind::SYSTEM

        message = read(kind, taken: true)
        return message unless NONE.equal?(message)
      end
      NONE
    end

    # Takes an :EXIT message; nil if there is none.
    def next_exit
      @exits.shift
    end

    # The message that was taken or seen last; NONE if it is not for the actor: its monitor has ended.
    def read(kind, taken:)
      case kind
      when Kind::INFO then Native.body(@ref)
      when Kind::CAST then [:cast, Native.body(@ref)]
      when Kind::CALL then [:call, taken ? Native.from(@ref) : nil, Native.body(@ref)]
      when Kind::DOWN then read_down(taken)
      end
    end

    # The [:DOWN, ...] that was taken; NONE if its monitor has ended.
    def read_down(taken = true)
      down = Native.body(@ref)
      known = taken ? @monitors.delete(down[1]) : @monitors[down[1]]
      known ? down : NONE
    end

    private

    def find_message(match)
      if (index = @exits.index { |message| match.call(message) })
        return @exits.delete_at(index)
      end

      while (kind = Native.see_next(@ref))
        if kind == Kind::SYSTEM
          Native.take_seen(@ref)
          obey(Native.body(@ref))
          next
        end
        message = read(kind, taken: false)
        next unless NONE.equal?(message) || match.call(message)

        Native.take_seen(@ref)
        return read(kind, taken: true) unless NONE.equal?(message)
      end
      NONE
    end

    # A request of the runtime.
    def obey(request)
      @actor ? @actor.obey(request) : nil
    end
  end
end
