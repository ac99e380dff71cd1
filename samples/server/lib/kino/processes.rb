# frozen_string_literal: true

require_relative "config/processes_type"
require_relative "errors"
require_relative "native"

module Kino
  # Several processes that serve one app: a master loads it, forks them, and looks after them. Loaded in full only by a server
  # that has more than one.
  module Processes
    # How many +settings+ ask for.
    def self.number(settings, mode)
      wanted = settings[:processes]
      wanted = mode == :threaded ? Native.available_parallelism : 1 if wanted == ProcessesType::AUTO
      return wanted if wanted == 1 || Process.respond_to?(:fork)

      raise ConfigError, "processes #{wanted}: this system cannot fork; use processes 1"
    end

    # What Server#run runs instead of a Runner.
    def self.master(server, banner)
      require_relative "processes/master"
      Master.new(server, banner)
    end
  end
end
