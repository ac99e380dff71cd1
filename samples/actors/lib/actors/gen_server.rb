# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # An actor with state, written as a class: its instance variables are the state, and only the actor sees them.
  #
  #   class Counter < Actors::GenServer
  #     def init(start) = @count = start
  #     def add(number) = @count += number     # counter.call(:add, 2) or counter.cast(:add, 2)
  #   end
  #   counter = Counter.start(40)
  #
  # A class whose requests are not its methods overrides `handle_call` and `handle_cast`.
  class GenServer
    OPTIONS = %i[name isolation capacity label timeout].freeze

    class << self
      # Creates a server, waits until its `init` has returned, and returns its reference. Raises Down if `init` fails.
      #
      # Arguments are those of `init`, besides: `name:` (then `Actors[name]` finds it), `isolation:`, `capacity:` and `label:`
      # as for Actors.spawn, and `timeout:` of `init` (5 s).
      def start(*args, **keywords)
        ServerLoop.start(self, args, keywords, link: false)
      end

      # As `start`, and links the server to the actor that calls.
      def start_link(*args, **keywords)
        ServerLoop.start(self, args, keywords, link: true)
      end

      # Answers a call whose handle_call has returned [:noreply]. Any actor may do it. Returns whether the caller still waits.
      def reply(from, answer)
        Shared.named(answer, "the answer") { from.answer(answer) }
      end

      # Whether a request may call the method.
      def request?(name)
        name.is_a?(Symbol) && public_method_defined?(name) && !GenServer.method_defined?(name) && name != :init
      end
    end

    # Prepares the state. May return [:continue, x], and then handle_continue(x) runs before any message; or [:stop, reason].
    def init(*); end

    # For the runtime: calls `init`.
    def start_up(*args, **keywords) = init(*args, **keywords)

    # For Actors.tree: the children of a supervisor.
    def children_info = nil

    # Answers a request. Returns one of:
    #
    #   [:reply, answer]      the caller gets it
    #   [:noreply]            the answer comes later, by GenServer.reply(from, answer) in any actor
    #   [:stop, reason, answer], [:stop, reason]
    #
    # The first two may have one more element: seconds, after which handle_info(:timeout) is called unless a message arrives
    # before; or [:continue, x].
    def handle_call(request, _from)
      name, *args = request
      return [:reply, public_send(name, *args)] if self.class.request?(name)

      [:reply, Failure.new(NoMethodError, "#{self.class} has no public method for the request #{Report.text(request)}").freeze]
    end

    # Handles a message that needs no answer. May return [:noreply, ...] or [:stop, reason] as above; other values mean nothing.
    def handle_cast(message)
      name, *args = message
      raise NoMethodError, "#{self.class} has no public method for the message #{Report.text(message)}" unless self.class.request?(name)

      public_send(name, *args)
      nil
    end

    # Handles other messages: those sent with `<<`, [:DOWN, ...], [:EXIT, ...], :timeout. Returns as handle_cast.
    def handle_info(_message); end

    # Runs after what has returned [:continue, x], before the next message. Returns as handle_cast.
    def handle_continue(_what); end

    # Cleans up, for whatever reason the server ends, except `:killed` and the end of its Ractor.
    def terminate(_reason); end

    private

    def reply(from, answer)
      GenServer.reply(from, answer)
    end

    # Kernel#sleep would stop the other actors of the Ractor.
    def sleep(seconds)
      Actors.sleep(seconds)
    end
  end

  # An error that is the answer to a call; the caller raises it, and the server continues.
  Failure = Struct.new(:error_class, :message) do
    def to_error
      error_class.new(message)
    end
  end
end
