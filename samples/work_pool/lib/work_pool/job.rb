# frozen_string_literal: true

require_relative "result"

module WorkPool
  # The session class and configuration from which each worker creates its session, and the block that uses it.
  Job = Struct.new(:session_class, :configuration, :block) do
    # Shareable forms of inputs and configuration, or the originals and the reason if there are none.
    def self.copies(inputs, configuration)
      [Ractor.make_shareable(inputs, copy: true), Ractor.make_shareable(configuration, copy: true), nil]
    rescue TypeError, Ractor::Error => e
      [inputs, configuration, e]
    end

    def session
      return unless session_class

      configuration.nil? ? session_class.new : session_class.new(configuration)
    end

    # The result of the block for the input, or a Failure.
    def run(session, input, caught)
      block.call(session, input)
    rescue *caught => e
      Failure.of(e)
    end

    def state(session)
      session.state if session.respond_to?(:state)
    end

    # A shareable form of this job. Raises if there is none.
    def shareable
      Ractor.make_shareable(Job.new(session_class, configuration, portable_block))
    end

    private

    # Where Ruby supports it, the block is detached from a self that it does not use.
    def portable_block
      return Ractor.make_shareable(block) unless Ractor.respond_to?(:shareable_proc)

      receiver = block.binding.receiver
      return Ractor.shareable_proc(self: receiver, &block) if Ractor.shareable?(receiver)
      raise Unfit, "the block uses its self" unless Kino::RactorAudit.new.of_proc(block).findings.empty?

      Ractor.shareable_proc(&block)
    end
  end

  class Job
    # The exceptions that become a Failure in a worker, where no other thread raises exceptions.
    EVERYTHING = [Exception].freeze
    # Those in the caller's thread: exceptions raised by other threads propagate, as do Interrupt, Timeout and Thread#kill.
    RAISED_BY_BLOCKS = [StandardError, ScriptError, NoMemoryError, SystemExit, SystemStackError].freeze
  end
end
