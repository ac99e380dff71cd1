# frozen_string_literal: true

require "shellwords"

require_relative "app/access_log"
require_relative "app/backend"
require_relative "app/banner"
require_relative "app/error_stream"
require_relative "app/lifecycle"
require_relative "app/log"
require_relative "app/mode"
require_relative "app/runner"
require_relative "config/settings"
require_relative "errors"
require_relative "listen/address"
require_relative "processes"
require_relative "workers/hooks"

module Kino
  # A server and the handle to control it. Every method may be called from any Thread of the main Ractor.
  #
  #   server = Kino::Server.new(app, port: 9292)
  #   server.start       # returns when all workers are ready
  #   server.url         # => "http://127.0.0.1:9292"
  #   server.shutdown    # returns when everything accepted has been answered
  class Server
    EMBEDDED_DEFAULTS = { port: 0 }.freeze

    # Starts a server for +app+, prints its banner, and returns when a signal has stopped it.
    def self.run(app, **options)
      new(app, **options).run
    end

    # +mode+: :ractor or :threaded. +processes+: how many #run uses.
    attr_reader :mode, :settings, :processes

    # +options+ are those of Kino::Options, or a Kino::Settings as +settings+, and hooks (Kino::Hooks). Raises ConfigError for
    # an invalid option and UnshareableAppError if :ractor is not possible.
    def initialize(app, settings: nil, **options)
      raise ArgumentError, "#{app.inspect} is not a Rack app: it does not respond to #call" unless app.respond_to?(:call)

      hooks = options.slice(*Hooks::NAMES)
      @settings = settings || Settings.new(options.except(*Hooks::NAMES), defaults: EMBEDDED_DEFAULTS)
      decision = Mode.decide(@settings[:mode], app, check: check_command)
      @mode = decision.mode
      hooks = { **hooks, after_boot: [*Hooks.list(hooks[:after_boot]), decision.after_boot] } if decision.after_boot
      @hooks = Hooks.of(hooks, @settings.hooks, @mode)
      @processes = Processes.number(@settings, @mode)
      @remarks = [decision.remark, *Topology.settle(@settings, @mode, @processes)].compact
      log_remarks unless @processes > 1
      @settings.settle(:log_requests) { AccessLog.wanted?(@settings) }
      @lifecycle = Lifecycle.new
      @backend = Backend.new(self, app, @hooks)
      @addresses = []
    end

    # What the log says about the mode and the numbers of workers. A server with several processes says it when it runs.
    # @api private
    def log_remarks
      @remarks.each { |sentence| Log.line(sentence) }
    end

    # Binds, starts accepting and returns when every worker is ready. Raises BindError if an address
    # is not available. +part+: what this process serves, if it is one of several.
    def start(part = nil)
      raise ConfigError, "processes #{@processes}: a server that is started with #start has one process; call #run" if @processes > 1 && !part

      @lifecycle.begin_start
      boot(part)
      run_hook(:after_boot)
      self
    end

    # Serves until a signal requests the end: INT, TERM and QUIT drain in-flight requests, a second one ends the process
    # immediately. USR1 logs statistics. HUP reopens logs and reads certificates again or, when the log is a terminal, stops.
    # USR2 starts the program again with the listening sockets, and stops this process when the new one is ready. Any other
    # end of this method, by another signal's exception or `exit`, also drains in-flight requests first.
    def run(banner: $stderr)
      # Apps log there, and a pipe would get their lines late.
      $stdout.sync = true
      @runner = processes > 1 ? Processes.master(self, banner) : Runner.new(self, banner)
      @runner.run
      self
    end

    # Likewise, in one of several processes.
    # @api private
    def serve_as(member)
      @runner = member
      member.run
    end

    # Runs the hooks of this name, if there are any.
    # @api private
    def run_hook(name, *arguments)
      @hooks&.run(name, *arguments)
    end

    # Returns when the server has stopped.
    def wait
      @lifecycle.wait
      self
    end

    # Stops: lets responses close their connections for +delay+ seconds, accepts no new connections, answers accepted
    # requests for up to +timeout+ seconds, and aborts the rest. Returns true if no request had to be aborted. Further
    # calls wait for the first and return its result.
    def shutdown(timeout: settings[:shutdown_timeout], delay: 0)
      # A forked child does not have the threads and must not stop the parent's server.
      return false if @lifecycle.foreign?

      # On a separate Thread, so the caller waits in Ruby: Rubies before 3.3 deliver signals only to a main Thread
      # that waits there, and a second signal must be delivered.
      stop_on_a_thread(timeout, delay) if @lifecycle.begin_stop
      wait
      @lifecycle.clean?
    end

    # Opens the files of the access log and of loggers again at their paths, after they have been renamed. A renamed or
    # removed file is also noticed within a second, with its next line.
    def reopen_logs
      Log.reopen
    end

    # Begins to stop and returns at once; #wait returns when that is done.
    def request_stop
      @runner ? @runner.stop_soon : Thread.new { shutdown }
    end

    # Reads the certificate files again, for new connections. If they cannot be used, the log says why, and nothing changes.
    def reload_certificates
      @backend.reload_certificates if running?
    end

    # Opens logs and reads certificates again, as a HUP does.
    def reload
      return @runner.reload if @runner

      reopen_logs
      reload_certificates
    end

    # Those that it listens on.
    def addresses = @backend.addresses || @addresses

    # Port of the first TCP address, or nil.
    def port
      addresses.find { |address| !address.unix? }&.port
    end

    # URL of the first address.
    def url
      addresses.first&.url
    end

    # URLs of all addresses.
    def urls
      addresses.map(&:url)
    end

    # URLs of the control plane; empty without +control_bind+.
    def control_urls
      @control_addresses ? @control_addresses.map(&:url) : @backend.control_urls
    end

    # Where the processes of this server listen, and answer operators.
    # @api private
    def serves_at(addresses, control_addresses)
      @addresses = addresses
      @control_addresses = control_addresses
    end

    # Whether it has started and has not begun to stop.
    def running?
      @lifecycle.running?
    end

    # Lets a start in another Thread fail with StartCancelled; may be called in the trap of a signal.
    # @api private
    def cancel_start
      @backend.cancel_start
    end

    # Copies of the listening sockets, for another process.
    # @api private
    def listening_sockets
      @lifecycle.while_running { @backend.listening_sockets }
    end

    # Another process serves the addresses from now on: the files of Unix sockets are its own, and the pidfile, which this
    # one must not even lock, since the other may remove it at the same time.
    # @api private
    def leave_addresses
      @backend.leave_addresses
    end

    # The current statistics, or the final ones after the end.
    def stats
      @backend.stats
    end

    # A server without an address of its own listens on those that its process has inherited.
    # @api private
    def addresses_to_bind(inherited = nil)
      if inherited && %i[bind port].all? { |name| settings.source(name) == :default }
        all = inherited.claim_all(tls: !settings[:tls].nil?, proxy_protocol: settings[:proxy_protocol])
        return Address.believable(all, settings)
      end

      wanted = Address.of(settings).flat_map(&:to_bind)
      inherited ? inherited.claim(wanted) : wanted
    end

    private

    # The command that checks this app; its file is known if the command kino has loaded it.
    def check_command
      _, file = @settings.chosen.assoc(:rackup)
      ["kino --check", *file&.shellescape].join(" ")
    end

    def boot(part)
      @backend.start(part)
      @lifecycle.started
    rescue Exception
      give_up
      raise
    end

    def give_up
      @backend.abort_start
    ensure
      @lifecycle.stopped(false)
    end

    def stop_on_a_thread(timeout, delay)
      Thread.new { stop(timeout, delay) }.name = "kino shutdown"
    rescue ThreadError
      stop(timeout, delay) # no thread to be had
    end

    def stop(timeout, delay)
      clean = @backend.stop(timeout, delay)
    ensure
      @lifecycle.stopped(clean ? true : false)
    end
  end
end
