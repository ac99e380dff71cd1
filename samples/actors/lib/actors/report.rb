# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Tells of actors that exceptions have ended.
  module Report
    module_function

    def crash(context, error)
      return if context.runtime.entries[:crash_reports] == false

      $stderr.puts "actors: #{context.ref.inspect} has ended: #{error.full_message(highlight: false).strip}"
    rescue StandardError
      nil # a closed stderr must not change the reason
    end
  end

  # Whether crashes are reported on standard error.
  def self.report_crashes=(on)
    Context.current.runtime.entries[:crash_reports] = on
  end
end
