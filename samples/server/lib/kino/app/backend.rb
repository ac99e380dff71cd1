# frozen_string_literal: true

require_relative "../config/options"
require_relative "../control/control_plane"
require_relative "../listen/certificates"
require_relative "../listen/listeners"
require_relative "../listen/socket_watch"
require_relative "../native"
require_relative "../pubsub"
require_relative "../workers/encodings"
require_relative "../workers/heap_reserve"
require_relative "../workers/route_label"
require_relative "../workers/supervisor"
require_relative "access_log"
require_relative "launch"
require_relative "log"
require_relative "periodic"
require_relative "pid_file"

module Kino
  # What a Server consists of while it runs: the native server, its listeners and certificates, the control plane, the workers'
  # supervisor, pub/sub and the pidfile. Starts them in the order in which they need each other, and stops them. Its Server calls
  # #start once, and afterwards either #abort_start or #stop, once.
  class Backend
    # How long workers may take to exit once no request is left, and how long after they have been aborted at the
    # end of shutdown_timeout.
    DEPARTURE_SECONDS = 5
    GRACE_SECONDS = 1

    # +id+: that of the native server. +addresses+: those that it listens on; nil before the start.
    attr_reader :id, :addresses

    # +hooks+: Hooks, or nil.
    def initialize(server, app, hooks)
      @server = server
      @app = app
      @hooks = hooks
    end

    # Returns when every worker is ready. If it raises, #abort_start must be called. +part+: see Server#start.
    def start(part)
      @part = part
      Native.start_log
      inherited = Launch.of_this_process.take_sockets
      predecessor = Launch.of_this_process.predecessor
      @control = part ? ControlPlane.of_part(settings, part.control_path) : ControlPlane.for(settings, inherited)
      wanted = part ? part.addresses : @server.addresses_to_bind(inherited)
      inherited&.drop_others { |sentence| Log.line(sentence) }
      @certificates = Certificates.for(settings)
      AccessLog.check(settings)
      @pid_file = PidFile.for(settings) unless predecessor || part
      @id = Native.create(native_config(wanted))
      open_control_plane unless predecessor
      @listeners = Listeners.new(wanted) { Native.listen(@id) }
      @addresses = settings.placed(*Address::OPTIONS) { @listeners.open }
      settings.placed(:pubsub) { PubSub.start(settings[:pubsub]) }
      @pubsub = true
      start_workers
      Native.start(@id)
      @certificates&.watch(@id)
      if predecessor # It answers, and has its file, until this process is ready.
        @pid_file = PidFile.for(settings)
        open_control_plane
      end
      inherited&.close
      watch_sockets
    end

    # Undoes a start, which may have failed at any point.
    def abort_start
      @supervisor&.closing
      @certificates&.stop
      @socket_watch&.stop
      if @id
        Native.close(@id)
        Native.stop(@id)
      end
      @supervisor&.join
      remove_files
    ensure
      leave_pubsub
    end

    # Lets #start fail with StartCancelled; may be called in the trap of a signal.
    def cancel_start
      @cancelled = true
      @supervisor&.cancel
    end

    # As Server#shutdown.
    def stop(timeout, delay)
      @certificates&.stop
      @socket_watch&.stop
      Native.announce_drain(@id)
      sleep(delay)
      Native.is_last_to_accept(@id, Launch.of_this_process.owns_sockets?) if last_to_accept?
      Native.stop_accepting(@id)
      Native.begin_drain(@id)
      clean = Native.await_idle(@id, timeout)
      abort_rest(timeout) unless clean
      @supervisor.closing
      Native.close(@id)
      depart(clean) && clean
    ensure
      @final_stats = stats
      @part&.leave_counts
      Native.stop(@id)
      @supervisor.join
      leave_pubsub
      remove_files
      Log.flush if settings[:log_requests]
    end

    # Also after the end. Raises Error before the start.
    def stats
      snapshot = @final_stats
      return snapshot if snapshot
      raise Error, "this server has not been started" unless @id && @supervisor

      Native.stats(@id).merge(mode: mode, workers: settings[:workers], threads: settings[:threads])
    end

    def reload_certificates
      @certificates&.reload(@id)
    end

    # Of the control plane.
    def control_urls
      @control&.addresses ? @control.urls : []
    end

    # Copies of the listening sockets, for another process.
    def listening_sockets
      [*@listeners.sockets, *@control&.sockets]
    end

    # As Server#leave_addresses.
    def leave_addresses
      @replaced = true
      @pid_file = nil
      @socket_watch&.stop
      @listeners.leave_files
      @control&.leave(@id)
    end

    private

    def settings = @server.settings
    def mode = @server.mode

    # Whether neither a program that has replaced this one nor another process of its master accepts from its sockets once it stops.
    def last_to_accept? = @part ? @part.last_to_accept : !@replaced

    def native_config(wanted)
      settings.native.merge(binds: wanted.map(&:to_native), tls: @certificates&.load, access_log: AccessLog.for(settings),
                            control: @control&.to_native(mode),
                            slots: Topology.slots(settings, mode),
                            units: Topology.units(settings, mode), recycles: mode == :ractor || @part, place: @part&.place)
    end

    def open_control_plane
      @control&.start(@id, @server)
      @pid_file&.lead_to(control_urls)
    end

    def watch_sockets
      watch = SocketWatch.of([*@listeners.files, *@control&.files]) or return
      @socket_watch = Periodic.new("kino sockets", SocketWatch::SECONDS) { watch.look }
    end

    def start_workers
      Encodings.load_all if mode == :ractor
      app = RouteLabel.around(@app, settings, mode)
      specs = Topology.specs(mode, settings[:workers], settings[:threads], @id, app, @hooks&.of_workers)
      room = HeapReserve.for(@id, settings[:workers]) if mode == :ractor
      @supervisor = Supervisor.new(@id, specs, Topology.units(settings, mode), room, process: (@part if mode == :threaded), &@hooks&.at_worker_exit)
      @supervisor.cancel if @cancelled
      @supervisor.start
    end

    def abort_rest(timeout)
      requests, connections = stats.then { |all| [all.values_at(:in_flight, :queued).sum, all[:connections]] }
      Log.line("shutdown: not finished within #{Options.fetch(:shutdown_timeout).show(timeout)} and aborted: requests #{requests}, " \
               "connections #{connections}")
      Native.abort(@id)
    end

    # Idle workers exit by themselves; workers stuck in a handler are killed if Ruby can.
    def depart(clean)
      return true if @supervisor.await_departure(clean ? DEPARTURE_SECONDS : GRACE_SECONDS)

      @supervisor.await_departure(GRACE_SECONDS) if @supervisor.interrupt
      false
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
  end
end
