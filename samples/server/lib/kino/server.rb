# frozen_string_literal: true

require "shellwords"

require_relative "app/access_log"
require_relative "listen/address"
require_relative "app/banner"
require_relative "control/control_plane"
require_relative "listen/certificates"
require_relative "app/error_stream"
require_relative "app/launch"
require_relative "errors"
require_relative "workers/encodings"
require_relative "workers/heap_reserve"
require_relative "workers/hooks"
require_relative "listen/listeners"
require_relative "app/log"
require_relative "app/mode"
require_relative "native"
require_relative "app/pid_file"
require_relative "pubsub"
require_relative "processes"
require_relative "config/settings"
require_relative "app/runner"
require_relative "workers/route_label"
require_relative "workers/supervisor"

module Kino
  # A server and the handle to control it. Every method may be called from any Thread of the main Ractor.
  #
  #   server = Kino::Server.new(app, port: 9292)
  #   server.start       # returns when all workers are ready
  #   server.url         # => "http://127.0.0.1:9292"
  #   server.shutdown    # returns when everything accepted has been answered
  class Server
    EMBEDDED_DEFAULTS = { port: 0 }.freeze
    # How long workers may take to exit once no request is left, and how long after they have been aborted at the
    # end of shutdown_timeout.
    DEPARTURE_SECONDS = 5
    GRACE_SECONDS = 1

    # Starts a server for +app+, prints its banner, and returns when a signal has stopped it.
    def self.run(app, **options)
      new(app, **options).run
    end

    # +mode+: :ractor or :threaded. +addresses+: those that it listens on. +processes+: how many #run uses.
    attr_reader :mode, :settings, :addresses, :processes

    # +options+ are those of Kino::Options, or a Kino::Settings as +settings+, and hooks (Kino::Hooks). Raises ConfigError for
    # an invalid option and UnshareableAppError if :ractor is not possible.
    def initialize(app, settings: nil, **options)
      raise ArgumentError, "#{app.inspect} is not a Rack app: it does not respond to #call" unless app.respond_to?(:call)

      @app = app
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
      @addresses = []
      @state = :new
      @lock = Mutex.new
      @state_changed = ConditionVariable.new
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

      @lock.synchronize do
        raise Error, "this server has already been started; create a new one" unless @state == :new

        @state = :starting
        @pid = Process.pid
      end
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
      @lock.synchronize { @state_changed.wait(@lock) until @state == :stopped || @state == :new }
      self
    end

    # Stops: lets responses close their connections for +delay+ seconds, accepts no new connections, answers accepted
    # requests for up to +timeout+ seconds, and aborts the rest. Returns true if no request had to be aborted. Further
    # calls wait for the first and return its result.
    def shutdown(timeout: settings[:shutdown_timeout], delay: 0)
      # A forked child does not have the threads and must not stop the parent's server.
      return false if @pid && @pid != Process.pid

      first = @lock.synchronize do
        @state_changed.wait(@lock) while @state == :starting
        from = @state
        @state = :stopping if from == :running
        @state, @clean = :stopped, true if from == :new
        from == :running
      end
      # On a separate Thread, so the caller waits in Ruby: Rubies before 3.3 deliver signals only to a main Thread
      # that waits there, and a second signal must be delivered.
      stop_on_a_thread(timeout, delay) if first
      wait
      @clean
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
      @certificates&.reload(@id) if running?
    end

    # Opens logs and reads certificates again, as a HUP does.
    def reload
      return @runner.reload if @runner

      reopen_logs
      reload_certificates
    end

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
      return @control_addresses.map(&:url) if @control_addresses

      @control&.addresses ? @control.urls : []
    end

    # Where the processes of this server listen, and answer operators.
    # @api private
    def serves_at(addresses, control_addresses)
      @addresses = addresses
      @control_addresses = control_addresses
    end

    # Whether it has started and has not begun to stop.
    def running?
      @state == :running
    end

    # Lets a start in another Thread fail with StartCancelled; may be called in the trap of a signal.
    # @api private
    def cancel_start
      @cancelled = true
      @supervisor&.cancel
    end

    # Copies of the listening sockets, for another process.
    # @api private
    def listening_sockets
      @lock.synchronize do
        raise Error, "this server does not accept connections" unless @state == :running

        @shared = true
        [*@listeners.sockets, *@control&.sockets]
      end
    end

    # Another process serves the addresses from now on: the files of Unix sockets are its own, and the pidfile, which this
    # one must not even lock, since the other may remove it at the same time.
    # @api private
    def leave_addresses
      @pid_file = nil
      @listeners.leave_files
      @control&.leave(@id)
    end

    # The current statistics, or the final ones after the end.
    def stats
      snapshot = @final_stats
      return snapshot if snapshot
      raise Error, "this server has not been started" unless @id && @supervisor

      Native.stats(@id).merge(mode: mode, workers: settings[:workers], threads: settings[:threads])
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
      Native.start_log
      inherited = Launch.of_this_process.take_sockets
      predecessor = Launch.of_this_process.predecessor
      @control = part ? ControlPlane.of_part(settings, part.control_path) : ControlPlane.for(settings, inherited)
      wanted = part ? part.addresses : addresses_to_bind(inherited)
      inherited&.drop_others { |sentence| Log.line(sentence) }
      @certificates = Certificates.new(settings[:tls]) if settings[:tls]
      AccessLog.check(settings)
      create_pid_file unless predecessor || part
      @id = Native.create({ **native_config(wanted), share_place: part&.place })
      open_control_plane unless predecessor
      @listeners = Listeners.new(wanted) { Native.listen(@id) }
      @addresses = @listeners.open
      PubSub.start(settings[:pubsub])
      @pubsub = true
      Encodings.load_all if mode == :ractor
      specs = Topology.specs(mode, settings[:workers], settings[:threads], @id, RouteLabel.around(@app, settings, mode), @hooks&.of_workers)
      room = HeapReserve.for(@id, settings[:workers]) if mode == :ractor
      @supervisor = Supervisor.new(@id, specs, Topology.units(settings, mode), room, &@hooks&.at_worker_exit)
      @supervisor.cancel if @cancelled
      @supervisor.start
      Native.start(@id)
      @certificates&.watch(@id)
      if predecessor # It answers, and has its file, until this process is ready.
        create_pid_file
        open_control_plane
      end
      inherited&.close
      become(:running)
    rescue Exception
      give_up
      raise
    end

    def create_pid_file
      @pid_file = PidFile.create(settings[:pidfile], replaces: Launch.of_this_process.predecessor) if settings[:pidfile]
    end

    def open_control_plane
      @control&.start(@id, self)
      @pid_file&.lead_to(control_urls)
    end

    # Undoes a partial start.
    def give_up
      @supervisor&.closing
      @certificates&.stop
      if @id
        Native.close(@id)
        Native.stop(@id)
      end
      @supervisor&.join
      remove_files
    ensure
      leave_pubsub
      @clean = false
      become(:stopped)
    end

    def native_config(wanted)
      settings.native.merge(binds: wanted.map(&:to_native), tls: @certificates&.load, access_log: AccessLog.for(settings),
                            control: @control&.to_native(mode),
                            slots: Topology.slots(settings, mode),
                            units: Topology.units(settings, mode), recycles: mode == :ractor)
    end

    def stop_on_a_thread(timeout, delay)
      Thread.new { stop(timeout, delay) }.name = "kino shutdown"
    rescue ThreadError
      stop(timeout, delay) # no thread to be had
    end

    def stop(timeout, delay)
      @certificates&.stop
      Native.announce_drain(@id)
      sleep(delay)
      Native.has_sockets_alone(@id) unless @shared
      Native.stop_accepting(@id)
      Native.begin_drain(@id)
      clean = Native.await_idle(@id, timeout)
      abort_rest(timeout) unless clean
      @supervisor.closing
      Native.close(@id)
      clean = depart(clean) && clean
    ensure
      @final_stats = stats
      Native.stop(@id)
      @supervisor.join
      leave_pubsub
      remove_files
      Log.flush if settings[:log_requests]
      @clean = clean ? true : false
      become(:stopped)
    end

    def abort_rest(timeout)
      requests, connections = stats.then { |all| [all.values_at(:in_flight, :queued).sum, all[:connections]] }
      Log.line("shutdown: not finished within #{Options.fetch(:shutdown_timeout).show(timeout)} and aborted: requests #{requests}, " \
               "connections #{connections}")
      Native.abort(@id)
    end

    def leave_pubsub
      PubSub.stop if @pubsub
      @pubsub = false
    end

    def remove_files
      @control&.remove_files
      @listeners&.remove_files
      @pid_file&.remove
    end

    # Idle workers exit by themselves; workers stuck in a handler are killed if Ruby can.
    def depart(clean)
      return true if @supervisor.await_departure(clean ? DEPARTURE_SECONDS : GRACE_SECONDS)

      @supervisor.await_departure(GRACE_SECONDS) if @supervisor.interrupt
      false
    end

    def become(state)
      @lock.synchronize do
        @state = state
        @state_changed.broadcast
      end
    end
  end
end
