# frozen_string_literal: true

module WorkPool
  # What came of an input whose block raised.
  Failure = Struct.new(:error_class, :message, :backtrace) do
    def self.of(error)
      new(error.class.name, error.message, error.backtrace)
    end

    def to_s = "#{error_class}: #{message}"
  end

  # What a map gives back.
  class Result
    include Enumerable

    # A result or a Failure for every input, in the order of the inputs.
    attr_reader :values
    # What the sessions' states were merged into; without `merge` all of them, in no order.
    attr_reader :state
    # Who did it, and why not one that comes before it; nil if there is nothing to say.
    attr_reader :backend, :reason

    def initialize(values, state, backend, reason)
      @values = values
      @state = state
      @backend = backend
      @reason = reason
    end

    def each(&block) = values.each(&block)

    def failures = values.grep(Failure)
  end
end
