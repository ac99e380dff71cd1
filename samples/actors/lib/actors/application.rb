# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # A program made of actors: a supervisor at its root, and an orderly end.
  #
  #   Actors::Application.run(env: { limit: 10 }) do
  #     child Counter, 0, name: :visits
  #     child Greeter, "Hello", name: :greeter
  #   end
  class Application
    # Starts the children, waits for INT or TERM, and ends the children in reverse order. A second signal ends the process at once.
    # Returns the reason for which the supervisor has ended: :shutdown after a signal. Only in the main thread.
    #
    # `env:` is what Actors.env returns. `signals:` are those to wait for. Others are the options of a Supervisor.
    def self.run(env: {}, signals: %w[INT TERM], **flags, &children)
      me = Actors.current
      before = signals.to_h { |name| [name, Signal.trap(name) { me << [:signal, name].freeze }] }
      application = start(env: env, **flags, &children)
      return application.reason if application.wait == :ended

      restore(before)
      application.stop
    ensure
      restore(before) if before
    end

    def self.restore(handlers)
      handlers.each { |name, handler| Signal.trap(name, handler || "DEFAULT") }
    end
    private_class_method :restore

    # Starts the children, and returns the application.
    def self.start(env: {}, **flags, &children)
      entries = Context.current.runtime.entries
      env.each { |key, value| entries[[:env, key].freeze] = Shared.copy(value, "env[#{key.inspect}]") }
      new(entries[:root] = Supervisor.start(**flags, &children))
    end

    # The supervisor.
    attr_reader :root

    def initialize(root)
      @root = root
    end

    # Waits for a signal of `run`, then returns its name; or for the end of the supervisor, then returns :ended.
    def wait
      watch = Actors.monitor(@root)
      _, signal = Actors.receive { |message| message in [:DOWN, ^watch, _, _] | [:signal, _] }
      signal == watch ? :ended : signal
    ensure
      Actors.demonitor(watch)
    end

    # Why the supervisor has ended.
    def reason = @root.reason

    # Ends the children in reverse order. Returns the reason.
    def stop(reason = :shutdown, timeout: nil)
      @root.stop(reason, timeout: timeout)
    end
  end

  # A value of the application's environment.
  def env(key, default = nil)
    Context.current.runtime.entries.fetch([:env, key].freeze, default)
  end
end
