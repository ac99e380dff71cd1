# frozen_string_literal: true

require_relative "../config/log_levels"
require_relative "../config/spelling"

module Kino
  # Sets the level of the application's loggers while it runs.
  module LogLevel
    NAMES = LOG_LEVELS

    # The loggers of the main Ractor that still exist.
    @loggers = ObjectSpace::WeakMap.new

    # Only those of the main Ractor: others can be reached from their own alone.
    def self.register(logger)
      @loggers[logger] = true if Ractor.current == Ractor.main
    end

    # Returns a sentence.
    def self.set(name)
      unless NAMES.include?(name)
        near = Spelling.nearest(name, NAMES)
        return "cannot log from #{name.empty? ? "no level" : name.inspect}: a level is one of #{NAMES.join(", ")}" \
               "#{"; did you mean #{near}?" if near}"
      end

      fixed, changed = all.partition(&:frozen?)
      changed.each { |logger| logger.level = NAMES.index(name) }
      return "cannot set the level: this application has no Kino::Logger in its main Ractor" if fixed.empty? && changed.empty?

      "level #{name}: #{count(changed)} set#{", #{count(fixed)} shared by Ractors and fixed" unless fixed.empty?}"
    end

    def self.all
      rails = defined?(::Rails.logger) ? [::Rails.logger].compact : []
      (@loggers.keys + rails).uniq
    end

    def self.count(loggers) = "#{loggers.size} logger#{"s" unless loggers.size == 1}"
    private_class_method :all, :count
  end
end
