# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  class Error < StandardError; end

  # The actor that was called has ended, before or during the call; or it has not started.
  class Down < Error
    attr_reader :actor, :reason

    def initialize(actor, reason, text = nil)
      @actor = actor
      @reason = reason
      super(text || "#{actor.inspect} has ended: #{Actors.describe(reason)}")
    end

    def self.not_started(actor, reason)
      new(actor, reason, "#{actor.inspect} has not started: #{Actors.describe(reason)}")
    end
  end

  # The actor has not done in time what was asked of it. It may still do it; an answer then goes nowhere.
  class CallTimeout < Error
    attr_reader :actor

    # `done`: what it has not done, such as "answered :value".
    def initialize(actor, done, seconds)
      @actor = actor
      waiting = actor.size
      backlog = "; #{waiting} message#{"s" if waiting > 1} in its mailbox" if waiting.positive?
      super("#{actor.inspect} has not #{done} within #{seconds} s#{backlog}")
    end
  end

  # The mailbox has no room (`full: :raise`).
  class MailboxFull < Error
    def initialize(actor)
      super("the mailbox of #{actor.inspect} is full (#{actor.size} messages): send less, or start the actor with a larger capacity:")
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

  # The reason of an actor that an exception has ended. The backtrace ends where the runtime called the actor's code.
  class Crash
    # How the paths of the runtime's files begin, and of those methods of Ruby's that are written in Ruby.
    RUNTIME = ["#{File.dirname(__dir__)}/actors".freeze, "<internal:"].freeze
    private_constant :RUNTIME

    attr_reader :error_class, :message, :backtrace

    def self.of(error)
      message = begin
        error.message.to_s
      rescue StandardError => e
        "(#{error.class}#message has raised #{e.class})"
      end
      Ractor.make_shareable(new(error.class, message.dup, without_runtime(error.backtrace || []).map(&:dup)))
    end

    def self.without_runtime(backtrace)
      last = backtrace.rindex { |line| !line.start_with?(*RUNTIME) }
      last ? backtrace[0..last] : backtrace
    end
    private_class_method :without_runtime

    def initialize(error_class, message, backtrace)
      @error_class = error_class
      @message = message
      @backtrace = backtrace
    end

    # The first line of the backtrace that is the program's own, or nil.
    def place
      backtrace.find { |line| !line.start_with?(*RUNTIME) }
    end

    def deconstruct_keys(_keys)
      { error_class: error_class, message: message, backtrace: backtrace }
    end

    def to_s
      "#{error_class}: #{message}#{" (#{place})" if place}"
    end
    alias inspect to_s
  end

  def self.describe(reason)
    case reason
    in Crash then reason.to_s
    in [:failed_to_start_child, id, why] then "its child #{id.inspect} has not started: #{describe(why)}"
    else Report.text(reason)
    end
  end
end
