# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # The numbers of message_kind in message.hpp.
  module Kind
    INFO = 0
    CAST = 1
    CALL = 2
    SYSTEM = 3
    DOWN = 4
    EXIT = 5
  end

  # A reference to an actor. It can be shared, sent in messages, and be kept after the end of the actor.
  #
  # `id`, `label`, `alive?`, `reason` (nil while it is alive), `size` (messages that wait) and `arrived` (messages so far) are
  # native.
  class Ref
    # Sends a request to a server, and returns its answer. Raises Down if the server ends before it has answered, at once,
    # and CallTimeout after `timeout` seconds (nil: never). Several arguments are sent as an Array.
    def call(*request, timeout: 5)
      Context.current.call(self, request.size == 1 ? request.first : request, timeout)
    end

    # Sends a message to a server without waiting for an answer. Returns whether it was delivered; false if the actor has
    # ended. If the mailbox is full, waits for room (`full: :block`), returns false (`:drop`) or raises MailboxFull (`:raise`).
    def cast(*message, full: :block)
      Context.current.deliver(self, Kind::CAST, message.size == 1 ? message.first : message, full)
    end

    # Sends a message, which the actor gets from `receive` or in `handle_info`. Waits while the mailbox is full. A message to
    # an actor that has ended goes nowhere. Returns self.
    def <<(message)
      Context.current.deliver(self, Kind::INFO, message, :block)
      self
    end

    # Sends a message as `<<`, with the choices of `cast` for a full mailbox.
    def send_info(message, full: :block)
      Context.current.deliver(self, Kind::INFO, message, full)
    end

    # Ends the actor, once it has handled its present message, and waits for that: at most `timeout` seconds, then raises
    # CallTimeout. Returns the reason of its end.
    def stop(reason = :normal, timeout: 5)
      Context.current.stop(self, reason, timeout)
    end

    # The reference that a function was given: an actor's own, or a name.
    def self.of(object)
      case object
      when Ref then object
      when Named then object.ref
      else raise TypeError, "#{Report.text(object)} is no actor: pass a reference, or a name such as Actors[:name]"
      end
    end

    def ==(other)
      other.is_a?(Ref) && other.id == id
    end
    alias eql? ==

    def hash
      id.hash
    end

    def inspect
      "#<Actor #{id} #{label}>"
    end
    alias to_s inspect
  end

  private_constant :Kind, :Native, :Call
end
