# frozen_string_literal: true

require_relative "../errors"

module Kino
  # What a program wants to be called for: callables by hook, which run in the order in which they were given. Immutable; in
  # :ractor mode, those that run in workers are shareable. An exception of a hook is logged and has no other effect. A hook
  # that blocks delays only the thread in which it runs.
  #
  # A worker_id is the number of a worker's slot, as in the log and the statistics; its replacement may have the same.
  class Hooks
    IN_WORKERS = %i[after_worker_boot on_error after_request_complete].freeze
    # The parameters of each, and when it runs.
    ALL = {
      before_fork: ["number", "in the master of several processes, before it forks the process of that number, from 0; also before a replacement"],
      after_fork: ["number", "in the new one of several processes, before it starts workers"],
      after_boot: ["", "in the thread that started the server, when every worker is ready"],
      after_worker_boot: ["worker_id", "in the worker, before its first request"],
      on_error: ["error, env", "in the worker, after the 500 for a handler that raised"],
      after_request_complete: ["env, status", "in the worker, after the response, before its next request"],
      on_worker_exit: ["worker_id, error", "in a thread of the main Ractor; the error is a Kino::WorkerDied, nil after a regular end"]
    }.freeze
    NAMES = ALL.keys.freeze
    FINISHED = "rack.response_finished"

    # +given+: a callable or an Array of them, by hook. Those of +others+, likewise, come first. Nil if there is none. Raises
    # ConfigError for one that cannot be called or, in :ractor +mode+, shared.
    def self.of(given, others, mode)
      all = NAMES.to_h { |name| [name, list(others[name]) + list(given[name])] }.reject { |_, hooks| hooks.empty? }
      new(all, mode) unless all.empty?
    end

    # Array() would take an object with #to_a apart.
    def self.list(hooks)
      hooks.nil? ? [] : (hooks.instance_of?(Array) ? hooks : [hooks])
    end

    def initialize(given, mode)
      @hooks = given.to_h do |name, hooks|
        hooks.each { |hook| raise ConfigError, "#{name}: #{hook.class} does not respond to #call" unless hook.respond_to?(:call) }
        ractors = mode == :ractor && IN_WORKERS.include?(name)
        [name, (ractors ? hooks.map { |hook| Hooks.shareable(name, hook) } : hooks).freeze]
      end.freeze
      freeze
    end

    # Those that run in workers; nil if there is none. Shareable in :ractor mode.
    def of_workers
      own = @hooks.slice(*IN_WORKERS).freeze
      OfWorkers.new(own).freeze unless own.empty?
    end

    # A block that calls the hooks of a worker's end on a Thread of their own, so that they never delay a replacement; nil
    # without such hooks.
    def at_worker_exit
      return unless @hooks.key?(:on_worker_exit)

      lambda do |worker_id, error|
        Thread.new { run(:on_worker_exit, worker_id, error) }.name = "kino hook"
      rescue ThreadError => e
        Log.error("the hook on_worker_exit is not called", e)
      end
    end

    def run(name, *arguments)
      Hooks.run(name, @hooks[name], arguments)
    end

    # Runs each, whatever happens to another one.
    def self.run(name, hooks, arguments)
      hooks&.each do |hook|
        hook.call(*arguments)
      rescue Exception => e
        raise if name == :after_boot && e.is_a?(SignalException) # sent to the process

        Log.error("the hook #{name}#{place(hook)} raised", e)
      end
    end

    def self.place(hook)
      file, line = hook.source_location if hook.is_a?(Proc) || hook.is_a?(Method)
      file ? " (#{file}:#{line})" : " (#{hook.class})"
    end

    # A block loses its self where Ruby can replace that, since what it captures is all that it needs.
    def self.shareable(name, hook)
      return hook if Ractor.shareable?(hook)
      raise ArgumentError, "it is #{hook.frozen? ? "" : "not frozen, or "}refers to objects that are not" unless hook.instance_of?(Proc)
      return Ractor.shareable_proc(&hook) if Ractor.respond_to?(:shareable_proc)

      Ractor.make_shareable(hook.dup)
    rescue Ractor::Error, ArgumentError, TypeError => e
      raise ConfigError, "#{name}#{place(hook)}: the hook runs in Ractors, which cannot share it: #{e.message}. Let it use only constants " \
                         "that are shareable, or give a module or a frozen object with #call instead; or run in mode :threaded"
    end

    # What a worker calls.
    class OfWorkers
      def initialize(hooks)
        @hooks = hooks
      end

      def booted(worker_id)
        Hooks.run(:after_worker_boot, @hooks[:after_worker_boot], [worker_id])
      end

      # To be called before the app gets the request.
      def watch(env)
        hooks = @hooks[:after_request_complete] or return
        finally(env) { |seen, status| Hooks.run(:after_request_complete, hooks, [seen, status]) }
      end

      # To be called before the 500 is sent.
      def failed(env, error)
        hooks = @hooks[:on_error] or return
        finally(env) { |seen,| Hooks.run(:on_error, hooks, [error, seen]) }
      end

      private

      # Rack's callbacks run between a response and the next request, the last one first.
      def finally(env, &callback)
        env[FINISHED] = [*env[FINISHED], callback]
      rescue StandardError => e
        Log.error("the app has made env unusable, so a hook is not called", e)
      end
    end
  end
end
