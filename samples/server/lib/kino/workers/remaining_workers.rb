# frozen_string_literal: true

require_relative "../native"

module Kino
  # Workers that have not left when their server ends.
  module RemainingWorkers
    # As in native code.
    MOST_TOLD = 10

    # Logs which request each of +workers+ has, and where in Ruby it is, and kills them if Ruby can; returns whether it can.
    def self.interrupt(id, workers)
      Native.say_remaining(id)
      workers.sort_by { |(slot, _), _| slot }.first(MOST_TOLD).each { |(slot, _), spec| spec.report_place("worker #{slot}") }
      workers.each_value.map(&:interrupt).any?
    end
  end
end
