# frozen_string_literal: true

module Kino
  # How a process has ended, for sentences.
  module ExitText
    # "status 1" or "signal 9 (KILL)". +status+: its Process::Status.
    def self.of(status)
      return "status #{status.exitstatus}" unless status.signaled?

      "signal #{status.termsig} (#{Signal.signame(status.termsig) || "of real time"})"
    end
  end
end
