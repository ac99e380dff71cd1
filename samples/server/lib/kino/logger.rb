# frozen_string_literal: true

require "logger"

require_relative "app/error_report"
require_relative "app/line_output"
require_relative "app/log"
require_relative "config/log_destination"
require_relative "control/log_level"
require_relative "native"

module Kino
  # A ::Logger whose callers never wait: a native thread writes the lines. It works wherever a ::Logger does, and reports an
  # error with its causes.
  #
  #   logger = Kino::Logger.new                      # standard output
  #   logger = Kino::Logger.new("log/app.log")       # opened again when it is renamed, or on HUP
  #   logger = Kino::Logger.new("syslog")            # or "journald"; see LogDestination
  #   LOGGER = Ractor.make_shareable(Kino::Logger.new("log/app.log"))   # for all Ractors, with a fixed level
  #
  # Lines that the destination does not take are dropped, counted and reported in the server's log; the end of the process waits
  # up to a second for the rest. The lines of a file are in order, also with those of the access log and other loggers.
  class Logger < ::Logger
    # Constants of ::Logger that it reads in any Ractor, and that Ruby leaves unfrozen.
    [::Logger, ::Logger::Severity].product(%i[ProgName LEVELS]) do |scope, name|
      Ractor.make_shareable(scope.const_get(name, false)) if scope.const_defined?(name, false)
    end

    # Where a Logger writes: frozen and shareable, so Ractors that each have their own logger can use one Device. It has the
    # writing methods of IO, so it can be the destination of other loggers and of Rack::CommonLogger.
    class Device
      include LineOutput

      STREAMS = { 1 => "stdout", 2 => "stderr" }.freeze
      NAMES = [*LogDestination::STREAMS, *LogDestination::DAEMONS.keys].map(&:to_sym).freeze

      # "stdout", "stderr", a daemon in the form of LogDestination.complete, or the path of the file.
      attr_reader :name

      # +destination+: standard output or standard error (IO or name), a daemon or path as LogDestination has it, or a File,
      # whose path is opened. Raises SystemCallError if it cannot be opened.
      def initialize(destination = $stdout)
        @name = name_of(destination).dup.freeze
        @number = Native.open_log(@name)
        freeze
      end

      # Waits at most a second until all lines are written. Other users of the destination can still write.
      def close
        Log.flush
        nil
      end

      # Opens all log files again, after they have been renamed.
      def reopen
        Log.reopen
        self
      end

      # As ::Logger's device has them: Rails asks whether a logger already writes to standard output.
      def dev
        { "stdout" => $stdout, "stderr" => $stderr }[name]
      end

      # Nil unless it is a file.
      def filename
        name unless dev || LogDestination.daemon?(name)
      end

      # Whether it is a terminal.
      def tty?
        dev.is_a?(IO) && dev.tty?
      end
      alias isatty tty?

      private

      # A line is written as a whole, so it has an end.
      def append(text)
        Native.write_to_log(@number, text.end_with?("\n") ? text : "#{text}\n")
      end

      def name_of(destination)
        case destination
        when String, *NAMES then LogDestination.complete(destination.to_s)
        when IO then STREAMS[destination.fileno] || path_of(destination)
        else path_of(destination)
        end
      end

      def path_of(object)
        return File.expand_path(object.to_path) if object.respond_to?(:to_path) && object.to_path

        raise ArgumentError, "a Kino::Logger writes to $stdout, $stderr, syslog, journald or the path of a file, not to #{object.inspect}"
      end
    end

    # As ::Logger has it, but errors with their causes, and without the frames that they share.
    class Formatter < ::Logger::Formatter
      private

      def msg2str(message)
        ::Exception === message ? ErrorReport.text(message).chomp : super
      end
    end

    # +destination+: that of a Device, or a Device. nil: nothing is logged. The options are those of ::Logger.
    def initialize(destination = $stdout, **options)
      super(nil, **options)
      @default_formatter = Formatter.new
      self.datetime_format = options[:datetime_format]
      @logdev = device(destination)
    end

    # Not in initialize: a shareable logger must not seem to need what only the main Ractor has.
    def self.new(...)
      super.tap { |made| LogLevel.register(made) }
    end

    # Opens all log files again, or continues with another destination.
    def reopen(destination = nil)
      destination ? @logdev = device(destination) : @logdev&.reopen
      self
    end

    private

    def device(destination)
      return destination if destination.nil? || Device === destination

      Device.new(destination) unless destination == File::NULL
    end
  end
end
