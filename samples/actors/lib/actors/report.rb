# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # What is known of an actor that an exception has ended. `message` is the one that it was handling and `state` its instance
  # variables, both as text, of a server; otherwise nil.
  CrashReport = Struct.new(:actor, :crash, :message, :state) do
    def to_s
      lines = ["#{actor.inspect} has crashed: #{crash.error_class}: #{crash.message}"]
      lines << "  last message: #{message}" if message
      lines << "  state: #{state.map { |name, value| "#{name}=#{value}" }.join(" ")}" if state && !state.empty?
      (lines + crash.backtrace.map { |line| "    #{line}" }).join("\n")
    end
  end

  # Tells of actors that exceptions have ended.
  module Report
    LIMIT = 1000 # characters of a message or a variable

    module_function

    def crash(context, crash)
      how = context.runtime.entries[:crash_reports]
      return if how == false

      message, state = context.details
      report = Ractor.make_shareable(CrashReport.new(context.ref, crash, message, state))
      how ? how.call(report) : $stderr.puts("actors: #{report}")
    rescue StandardError
      nil # what fails here must not change the reason of the end
    end

    # A shared actor has run for long, and others of its Ractor have waited.
    def long_turn(context, seconds)
      return if context.runtime.entries[:crash_reports] == false

      $stderr.puts("actors: #{context.ref.inspect} has run for #{seconds.round(2)} s while other actors of its Ractor waited: start it with " \
                   "isolation: :own (if it computes) or :thread (if it waits for something else), or call Actors.pass in its loops")
    end

    # `inspect` is the program's code: it may fail, too.
    def text(object)
      object.inspect.then { |text| text.size > LIMIT ? "#{text[0, LIMIT]}..." : text }
    rescue StandardError => e
      "(#{object.class}#inspect has raised #{e.class})"
    end
  end

  # Calls the block, or `handler.call`, with a CrashReport for each actor that an exception ends, in that actor's thread, instead
  # of writing it to standard error. A handler must be shareable; a block uses variables with shareable values only, and is for
  # Ruby 4.0.
  def self.on_crash(handler = nil, &block)
    Context.current.runtime.entries[:crash_reports] = handler || Shared.block(block)
  end

  # Whether crashes are reported on standard error.
  def self.report_crashes=(on)
    Context.current.runtime.entries[:crash_reports] = on ? nil : false
  end
end
