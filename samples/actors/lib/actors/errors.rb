# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  class Error < StandardError; end

  # The actor that was called has ended, before or during the call.
  class Down < Error
    attr_reader :actor, :reason

    def initialize(actor, reason)
      @actor = actor
      @reason = reason
      super("#{actor.inspect} has ended: #{Actors.describe(reason)}")
    end
  end

  # There was no answer in time. The actor may still handle the request; its answer then goes nowhere.
  class CallTimeout < Error
    attr_reader :actor

    def initialize(actor, request, timeout)
      @actor = actor
      super("#{actor.inspect} has not answered #{request.inspect} within #{timeout} s")
    end
  end

  # The mailbox has no room (`full: :raise`).
  class MailboxFull < Error
    def initialize(actor)
      super("the mailbox of #{actor.inspect} is full")
    end
  end

  # This Ruby cannot run the actor as it was asked to.
  class Unsupported < Error; end

  # Ends the actor that it is raised in, with a reason. Not a StandardError, so `rescue` does not stop it.
  class Exit < Exception # rubocop:disable Lint/InheritException
    attr_reader :reason

    # `brutal`: without cleaning up.
    def initialize(reason, brutal: false)
      @reason = reason
      @brutal = brutal
      super("the actor ends: #{Actors.describe(reason)}")
    end

    def brutal? = @brutal
  end

  # The reason of an actor that an exception has ended.
  class Crash
    attr_reader :error_class, :message, :backtrace

    def self.of(error)
      message = begin
        error.message.to_s
      rescue StandardError => e
        "(#{error.class}#message has raised #{e.class})"
      end
      Ractor.make_shareable(new(error.class, message.dup, (error.backtrace || []).map(&:dup)))
    end

    def initialize(error_class, message, backtrace)
      @error_class = error_class
      @message = message
      @backtrace = backtrace
    end

    def deconstruct_keys(_keys)
      { error_class: error_class, message: message, backtrace: backtrace }
    end

    def to_s
      "#{error_class}: #{message}#{" (#{backtrace.first})" if backtrace.first}"
    end
    alias inspect to_s
  end

  def self.describe(reason)
    reason.is_a?(Crash) ? reason.to_s : reason.inspect
  end
end
