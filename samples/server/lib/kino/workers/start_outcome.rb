# frozen_string_literal: true

require_relative "../errors"

module Kino
  # How the start of the workers has ended: the supervisor's Thread says it, and the one that starts the server waits for it.
  class StartOutcome
    def initialize
      # A Queue, because a signal's trap may push to it. The first outcome counts.
      @outcomes = Thread::Queue.new
      @ready = false
    end

    # Whether the start has ended well.
    def ready? = @ready

    def ready
      @ready = true
      @outcomes.push(:ready)
    end

    # May be called in the trap of a signal.
    def cancel
      @outcomes.push(:cancelled)
    end

    def fail(reason)
      @outcomes.push(reason)
    end

    # Returns once the workers are ready. Raises StartCancelled, or Error with the reason.
    def await
      case (outcome = @outcomes.pop)
      when :ready then nil
      when :cancelled then raise StartCancelled, "the server was stopped while its workers were starting"
      else raise Error, outcome
      end
    end
  end
end
