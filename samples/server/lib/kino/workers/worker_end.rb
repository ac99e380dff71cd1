# frozen_string_literal: true

require_relative "../app/error_report"
require_relative "../errors"

module Kino
  # Why a worker has ended, as one String without objects of its Ractor, which may be gone when the supervisor reads it.
  module WorkerEnd
    FRAMES = 100
    SEPARATOR = "\0" # ErrorReport leaves none in a message

    def self.pack(error)
      frames = error.backtrace&.first(FRAMES) || []
      ["#{error.class}: #{ErrorReport.message_of(error)}", error.class.to_s, *frames.grep_v(/\0/)].join(SEPARATOR)
    rescue StandardError, SystemStackError => e
      "#{e.class}: the error that ended the worker cannot be described"
    end

    # A WorkerDied; nil for a regular end.
    def self.unpack(packed)
      return unless packed

      message, error_class, *backtrace = packed.split(SEPARATOR)
      WorkerDied.new(message || "no reason given", error_class, backtrace)
    end
  end
end
