# frozen_string_literal: true

require_relative "result"

module WorkPool
  # The blueprint from which each worker builds its session, and the block that uses it.
  Job = Struct.new(:session_class, :configuration, :block) do
    # Shareable forms of inputs and configuration; the originals, and why, where there are none.
    def self.copies(inputs, configuration)
      [Ractor.make_shareable(inputs, copy: true), Ractor.make_shareable(configuration, copy: true), nil]
    rescue TypeError, Ractor::Error => e
      [inputs, configuration, e]
    end

    def session
      return unless session_class

      configuration.nil? ? session_class.new : session_class.new(configuration)
    end

    # What the block returns for the input, or a Failure.
    def run(session, input, caught)
      block.call(session, input)
    rescue *caught => e
      Failure.of(e)
    end

    def state(session)
      session.state if session.respond_to?(:state)
    end

    # The same job, fit for Ractors. Raises where that cannot be.
    def shareable
      Ractor.make_shareable(Job.new(session_class, configuration, portable_block))
    end

    private

    # Where Ruby can, the block leaves a self behind that it has no use for.
    def portable_block
      return Ractor.make_shareable(block) unless Ractor.respond_to?(:shareable_proc)

      receiver = block.binding.receiver
      return Ractor.shareable_proc(self: receiver, &block) if Ractor.shareable?(receiver)
      raise Unfit, "the block uses its self" unless Kino::RactorAudit.new.of_proc(block).findings.empty?

      Ractor.shareable_proc(&block)
    end
  end

  class Job
    # What becomes a Failure in a worker, to which nobody sends anything but work.
    EVERYTHING = [Exception].freeze
    # And in the caller's thread: what others send there passes, as do Interrupt, Timeout and Thread#kill.
    RAISED_BY_BLOCKS = [StandardError, ScriptError, NoMemoryError, SystemExit, SystemStackError].freeze
  end
end
