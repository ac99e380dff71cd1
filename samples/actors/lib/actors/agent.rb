# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # A server that only keeps a value. Requests name a method of the value, with arguments; or, on Ruby 4.0, have a block that
  # uses only variables with shareable values.
  #
  #   agent = Actors::Agent.start([1, 2])
  #   agent.call(:update, :+, [3])
  #   agent.call(:get, :size)                                         # => 3
  #   Actors::Agent.get_and_update(agent) { |list| [list.first, list.drop(1)] }    # => 1
  class Agent < GenServer
    class << self
      # The block's value, called with the agent's.
      def get(agent, timeout: 5, &block) = agent.call(:get, Shared.block(block), timeout: timeout)
      # Replaces the agent's value by that of the block. Returns :ok.
      def update(agent, timeout: 5, &block) = agent.call(:update, Shared.block(block), timeout: timeout)
      # The block returns [answer, new value].
      def get_and_update(agent, timeout: 5, &block) = agent.call(:get_and_update, Shared.block(block), timeout: timeout)
    end

    def init(value) = @value = value

    def get(how = :itself, *args) = apply(how, args)

    def update(how, *args)
      @value = apply(how, args)
      :ok
    end

    def get_and_update(how, *args)
      answer, @value = apply(how, args)
      answer
    end

    private

    def apply(how, args)
      how.is_a?(Proc) ? how.call(@value, *args) : @value.public_send(how, *args)
    end
  end
end
