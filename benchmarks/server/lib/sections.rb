# frozen_string_literal: true

module Bench
  # The sections of the report. Each method returns the matches of one section.
  class Sections
    NAMES = %w[closed open workers connections cores memory slow frameworks rails wrk tls h2 websocket grpc].freeze
    # The servers of those sections that not every server is measured in.
    SERVERS = { "tls" => Tls::SERVERS, "h2" => Http2::SERVERS, "websocket" => WebSockets::SERVERS, "grpc" => GRPC::SERVERS, "rails" => RailsApp::SERVERS }.freeze
    # Separate programs, which print Markdown.
    PROGRAMS = %w[micro dispatch].freeze

    def initialize(settings, peers)
      @settings = settings
      @peers = peers.reject(&:only)
      @special = peers.select(&:only)
    end

    # Every server and endpoint: each connection sends its next request when it has its response. The method of /cpu
    # also runs without a server.
    def closed
      blocks = @peers.map do |peer|
        block(peer, endpoints_of(peer).map { |name| load_row(peer, Endpoint::ALL.fetch(name), section: "closed") })
      end
      ours = blocks.flat_map(&:rows).find { |row| row[:server] == "kino" && row[:endpoint] == "cpu" }
      if ours
        blocks << Baseline.alone(duration)
        blocks.select { |own| own.peer&.name == "bare" }.each { |own| own.rows << Baseline.beside_requests(duration) { ours.results.last[:rate] || 1 } }
      end
      [match(blocks)]
    end

    # /plaintext at a constant rate: 50 % and 80 % of the rate that this server has just reached, because the speed of a
    # shared machine may change within a minute.
    def open
      plaintext = Endpoint::ALL.fetch("plaintext")
      [match(@peers.map { |peer| block(peer, rates_of(peer, plaintext, section: "open", shares: [0.5, 0.8])) })]
    end

    def workers
      all = @settings.endpoints & %w[plaintext json cpu io]
      some = all & %w[plaintext cpu]
      [match(counted({ "kino" => all, "puma" => some, "rust-kino-32" => some }, "workers", @settings.worker_counts) { |count| { workers: count } })]
    end

    def connections
      [match(@peers.map do |peer|
        block(peer, @settings.connection_counts.map do |count|
          load_row(peer, Endpoint::ALL.fetch("plaintext"), section: "connections", connections: count)
        end)
      end)]
    end

    # Limits only the server to a number of CPUs. kino detects the limit; the number of processes must be set.
    def cores
      allowed = Machine.all_server_cpus
      counts = [1, 2, 4, 8, 16, allowed.size].select { |count| count <= allowed.size }.uniq.sort
      endpoints = %w[kino puma falcon rust-kino-32].to_h { |name| [name, %w[plaintext cpu]] }
      [match(counted(endpoints, "cores", counts) do |count, peer|
        { cpus: allowed.first(count) }.merge(peer.name == "kino" ? {} : { workers: count })
      end)]
    end

    # Proportional memory with 8 workers, after some load. One server at a time, because memory that servers share counts
    # only in part.
    def memory
      endpoints = %w[kino puma rust-kino-32].to_h { |name| [name, %w[plaintext]] }
      counted(endpoints, "memory", [8]) { |count| { workers: count } }.map { |one| match([one], turns: 1) }
    end

    # /plaintext, 200 times a second, while one request per CPU computes for two seconds. One server at a time: some
    # continue to compute after the client has gone.
    def slow
      @peers.reject { |peer| peer.name == "bare" }.map do |peer|
        key = { section: "slow", server: peer.name, endpoint: "plaintext" }
        row = Row.new(8, key) { |server| load_beside_slow_requests(server) }
        match([block(peer, [row])], turns: 1)
      end
    end

    # /plaintext measured by our generator, then by wrk, on the same server process.
    def wrk
      @peers.select { |peer| peer.name.match?(/\Akino|\Apuma/) }.map do |peer|
        plaintext = Endpoint::ALL.fetch("plaintext")
        key = { section: "wrk", server: peer.name, endpoint: "plaintext" }
        second = Row.new(duration, key) { |server| Wrk.run(server.port, plaintext.path, connections: @settings.connections, seconds: duration) }
        match([block(peer, [load_row(peer, plaintext, section: "wrk", tool: "load"), second])])
      end
    end

    # /plaintext with and without TLS, on one server process, which has to do all of it: wrk and openssl check no bodies.
    def tls
      return [] unless Tls.installed?

      peers_of("tls", Tls::SERVERS).map do |peer|
        port = free_port
        rows = Tls::NAMES.keys.map do |kind|
          Row.new(duration, { section: "tls", server: peer.name, endpoint: "plaintext", kind: kind }) do |server|
            with_cpu_time(server) { load_encrypted(kind, server.port, port) }
          end
        end
        match([block(peer, rows, tls_port: port)])
      end
    end

    # Seconds of load before a measurement by h2load. Falcon's first second of HTTP/2, in which it loads and compiles most of
    # it, has a hundredth of the rate of the second one.
    WARMUP = 2

    # /plaintext with HTTP/1.1 and with HTTP/2, on one server process; all servers in turns.
    def h2
      [match(peers_of("h2", Http2::SERVERS).map do |peer|
        port = free_port if peer.native
        rows = Http2::NAMES.keys.map do |kind|
          Row.new(duration + WARMUP, { section: "h2", server: peer.name, endpoint: "plaintext", kind: kind }) do |server|
            load_http(kind, server.port, port || server.port, seconds: WARMUP)
            with_cpu_time(server) { load_http(kind, server.port, port || server.port) }
          end
        end
        block(peer, rows, **{ http2_port: port }.compact)
      end)]
    end

    # Echoes in turns. Then one server at a time with ten thousand connections: how long one message takes to reach all of
    # them, and the memory that each takes.
    def websocket
      peers = WebSockets.available(peers_of("websocket", WebSockets::SERVERS), @settings)
      echo = peers.map do |peer|
        row = Row.new(duration + @settings.warmup, websocket_key(peer, :echo)) { |server| with_cpu_time(server) { WebSockets.echo(server.port, @settings) } }
        websocket_block(peer, [row])
      end
      many = peers.flat_map do |peer|
        rows = [
          Row.new(5, websocket_key(peer, :broadcast)) { |server| WebSockets.broadcast(server) { |&messages| with_cpu_time(server, &messages) } },
          Row.new(5, websocket_key(peer, :idle)) { |server| WebSockets.idle(server) }
        ]
        # New servers for each, since memory does not shrink; one process where channels do not reach others.
        rows.map { |row| match([websocket_block(peer, [row], **WebSockets::ONE_PROCESS.fetch(peer.name, {}))], turns: 1) }
      end
      [match(echo), *many]
    end

    # One unary method with 50 calls at a time.
    def grpc
      peers = GRPC.available(peers_of("grpc", GRPC::SERVERS), @settings)
      [match(peers.map do |peer|
        row = Row.new(duration + WARMUP, { section: "grpc", server: peer.name, endpoint: "grpc" }) do |server|
          GRPC.run(server.port, seconds: WARMUP)
          with_cpu_time(server) { GRPC.run(server.port, seconds: duration) }
        end
        Block.new(peer, GRPC.options(peer), [row], nil)
      end)]
    end

    # A hello-world of Roda and, if requested, Rails. kino chooses its mode.
    def frameworks
      Frameworks.available(@settings, @settings.installer).map do |framework|
        match(@peers.reject { |peer| peer.name == "bare" }.map do |peer|
          endpoint = framework.endpoint
          row = load_row(peer, endpoint, section: "frameworks", framework: framework.name)
          Block.new(peer, { rackup: framework.rackup, gems: framework.gems, mode: "auto" }, [row], endpoint.path)
        end)
      end
    end

    # A small document and a page of a Rails application, closed loop and at 80 % of that rate. Then the memory after both, one server
    # at a time.
    def rails
      problem = RailsApp.problem(@settings.installer)
      @settings.missing << "Rails: #{problem}" if problem
      return [] if problem

      peers = peers_of("rails", RailsApp::SERVERS)
      alternating = peers.map { |peer| rails_block(peer, RailsApp::ENDPOINTS.flat_map { |endpoint| rates_of(peer, endpoint, section: "rails", shares: [0.8], first: RailsApp::WARMUP) }) }
      alone = peers.map do |peer|
        row = Row.new(2 * (duration + @settings.warmup), { section: "rails", server: peer.name, kind: :memory }) do |server|
          results = RailsApp::ENDPOINTS.map { |endpoint| load(server, endpoint) }
          results.find { |result| result[:failed] } || { pss_mb: server.pss.round(1) }
        end
        match([rails_block(peer, [row])], turns: 1)
      end
      [match(alternating), *alone]
    end

    private

    def rails_block(peer, rows) = Block.new(peer, RailsApp.options(peer), rows, "/json")

    def duration = @settings.seconds

    def free_port = TCPServer.open("127.0.0.1", 0) { |socket| socket.addr[1] }

    def peers_of(section, names)
      [*@peers, *@special.select { |peer| peer.only.include?(section) }].select { |peer| names.include?(peer.name) }
    end

    def websocket_key(peer, kind) = { section: "websocket", server: peer.name, endpoint: kind.to_s, kind: kind }

    def websocket_block(peer, rows, **variant)
      Block.new(peer, { rackup: WebSockets::RACKUP, gems: WebSockets::GEMS.dig(peer.name, 0), **variant }, rows, "/")
    end

    def load_http(kind, port, http2_port, seconds: duration)
      path = Endpoint::ALL.fetch("plaintext").path
      return Http2.run(http2_port, path, seconds: seconds) if kind == :http2

      Wrk.run(port, path, connections: @settings.connections, seconds: seconds)
    end

    def match(blocks, turns: @settings.turns) = Match.new(blocks, turns)

    # A block for each count of each server; `endpoints` has the endpoints of each server, by name.
    def counted(endpoints, section, counts)
      @peers.select { |peer| endpoints.key?(peer.name) }.product(counts).map do |peer, count|
        rows = endpoints[peer.name].map { |name| load_row(peer, Endpoint::ALL.fetch(name), section: section, count: count) }
        Block.new(peer, yield(count, peer), rows, "/plaintext")
      end
    end

    def block(peer, rows, **options) = Block.new(peer, options, rows, "/plaintext")

    def endpoints_of(peer) = peer.name == "bare" ? @settings.endpoints & ["plaintext"] : @settings.endpoints

    # +first+: seconds of load before the first measurement of a server, beside the warm-up.
    def load_row(peer, endpoint, connections: @settings.connections, first: 0, **key)
      key = { section: nil, server: peer.name, endpoint: endpoint.name, connections: connections }.merge(key)
      Row.new(duration + @settings.warmup, key) do |server|
        server.once(endpoint.name) { Generator.run(server.port, endpoint, connections: connections, seconds: first, warmup: 0) } if first.positive?
        result = load(server, endpoint, connections: connections)
        result[:notes] = [*result[:notes], *Streaming.note(server.port)] if endpoint.name == "stream" && !result[:failed]
        result[:pss_mb] = server.pss.round(1) if key[:section] == "memory"
        result
      end
    end

    # The closed-loop rate, and then shares of it at a constant rate.
    def rates_of(peer, endpoint, shares:, **options)
      best = load_row(peer, endpoint, share: 1.0, **options)
      [best, *shares.map do |share|
        Row.new(duration + @settings.warmup, best.key.merge(share: share)) do |server|
          rate = best.results.last[:rate]
          rate ? load(server, endpoint, rate: share * rate) : { failed: "no closed-loop rate to take a share of" }
        end
      end]
    end

    def load(server, endpoint, connections: @settings.connections, rate: nil)
      before = server.cpu_seconds
      warmup = @settings.warmup
      result = Generator.run(server.port, endpoint, connections: connections, seconds: duration, warmup: warmup, rate: rate)
      return result if result[:failed]

      # Assumes that the warm-up costs as much as the rest.
      cpu = (server.cpu_seconds - before) * duration / (duration + warmup)
      result.merge(cpu_us_per_request: (cpu * 1e6 / result[:requests]).round(1))
    end

    def load_encrypted(kind, plain_port, tls_port)
      path = Endpoint::ALL.fetch("plaintext").path
      case kind
      when :plain then Wrk.run(plain_port, path, connections: @settings.connections, seconds: duration)
      when :encrypted then Wrk.run(tls_port, path, connections: @settings.connections, seconds: duration, scheme: "https")
      else Tls.connect(tls_port, path, resumed: kind == :resumed, seconds: duration)
      end
    end

    def with_cpu_time(server)
      before = server.cpu_seconds
      result = yield
      return result if result[:failed]
      return { failed: "no responses" } if result[:requests].zero?

      result.merge(cpu_us_per_request: ((server.cpu_seconds - before) * 1e6 / result[:requests]).round(1))
    end

    def load_beside_slow_requests(server)
      slow = Thread.new do
        Generator.run(server.port, Endpoint::ALL.fetch("slow"), connections: Machine.server_cpu_count, seconds: 6.5, warmup: 0)
      end
      sleep 0.5
      result = Generator.run(server.port, Endpoint::ALL.fetch("plaintext"), connections: 16, seconds: 4, warmup: 0.2, rate: 200)
      slow.value[:failed] ? { failed: "/slow: #{slow.value[:failed]}" } : result
    end
  end
end
