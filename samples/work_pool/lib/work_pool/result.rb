# frozen_string_literal: true

module WorkPool
  # The result for an input whose block raised.
  Failure = Struct.new(:error_class, :message, :backtrace) do
    def self.of(error)
      new(error.class.name, error.message, error.backtrace)
    end

    def to_s = "#{error_class}: #{message}"
  end

  # The result of a map.
  class Result
    include Enumerable

    # A value or a Failure for every input, in the order of the inputs.
    attr_reader :values
    # The merged state of the sessions; without `merge`, all states, in no order.
    attr_reader :state
    # The backend that did the work, and the reason why no preceding one did; nil if there is no reason.
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
