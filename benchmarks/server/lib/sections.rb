# frozen_string_literal: true

module Bench
  # The questions. Each method returns the blocks that answer one of them.
  class Sections
    NAMES = %w[closed open workers connections cores memory slow frameworks wrk].freeze
    # Programs of their own, which print Markdown.
    PROGRAMS = %w[micro dispatch].freeze

    def initialize(settings, peers)
      @settings = settings
      @peers = peers
    end

    # Every server and endpoint: each connection asks again when it has its answer.
    def closed
      @peers.map do |peer|
        block(peer, endpoints_of(peer).map { |endpoint| load_row(peer, endpoint, section: "closed") })
      end
    end

    # The same, but requests come at 50 % and 80 % of the rate that this server has just reached, whatever it does: a machine
    # that others use too may be another one an hour later.
    def open
      plaintext = Endpoint::ALL.fetch("plaintext")
      @peers.map do |peer|
        best = load_row(peer, plaintext, section: "open", share: 1.0)
        shares = [0.5, 0.8].map do |share|
          Row.new(duration + 0.5, best.key.merge(share: share)) do |server|
            rate = best.results.last[:rate]
            rate ? load(server, plaintext, rate: share * rate) : { failed: "no closed-loop rate to take a share of" }
          end
        end
        block(peer, [best, *shares])
      end
    end

    def workers
      endpoints = @settings.endpoints & %w[plaintext json cpu io]
      sweep(%w[kino puma rust-kino-32], "workers", @settings.worker_counts, endpoints) { |count| { workers: count } }
    end

    def connections
      @peers.map do |peer|
        rows = @settings.connection_counts.map do |count|
          load_row(peer, Endpoint::ALL.fetch("plaintext"), section: "connections", connections: count)
        end
        block(peer, rows)
      end
    end

    # Only the server is held to so many CPUs. Ours finds out by itself; processes have to be told.
    def cores
      allowed = Machine.server_cpus || (0...Machine.cpus).to_a
      counts = [1, 2, 4, 8, 16, allowed.size].select { |count| count <= allowed.size }.uniq.sort
      sweep(%w[kino puma falcon rust-kino-32], "cores", counts, %w[plaintext cpu]) do |count, peer|
        { cpus: allowed.first(count) }.merge(peer.name == "kino" ? {} : { workers: count })
      end
    end

    # Proportional memory with 8 workers, after some load.
    def memory
      sweep(%w[kino puma rust-kino-32], "memory", [8], %w[plaintext]) { |count| { workers: count } }
    end

    # /plaintext, 200 times a second, while one request per CPU computes for two seconds.
    def slow
      @peers.reject { |peer| peer.name == "bare" }.map do |peer|
        key = { section: "slow", server: peer.name, endpoint: "plaintext" }
        row = Row.new(8, key) { |server| load_beside_slow_requests(server) }
        block(peer, [row])
      end
    end

    # Our opinion of /plaintext, then wrk's, on the same server process.
    def wrk
      @peers.select { |peer| peer.name.match?(/\Akino|\Apuma/) }.map do |peer|
        plaintext = Endpoint::ALL.fetch("plaintext")
        key = { section: "wrk", server: peer.name, endpoint: "plaintext" }
        second = Row.new(duration, key) { |server| Wrk.run(server.port, plaintext.path, connections: @settings.connections, seconds: duration) }
        block(peer, [load_row(peer, plaintext, section: "wrk", tool: "load"), second])
      end
    end

    # Hello of Roda and, if asked for, Rails. Ours choose the mode themselves.
    def frameworks
      Frameworks.available(@settings, @settings.installer).flat_map do |framework|
        @peers.reject { |peer| peer.name == "bare" }.map do |peer|
          endpoint = framework.endpoint
          row = load_row(peer, endpoint, section: "frameworks", framework: framework.name)
          Block.new(peer, { rackup: framework.rackup, gems: framework.gems, mode: "auto" }, [row], endpoint.path)
        end
      end
    end

    private

    def duration = @settings.seconds

    def sweep(servers, section, counts, endpoints)
      @peers.select { |peer| servers.include?(peer.name) }.flat_map do |peer|
        counts.map do |count|
          rows = endpoints.map { |name| load_row(peer, Endpoint::ALL.fetch(name), section: section, count: count) }
          Block.new(peer, yield(count, peer), rows, "/plaintext")
        end
      end
    end

    def block(peer, rows, **options) = Block.new(peer, options, rows, "/plaintext")

    def endpoints_of(peer)
      names = peer.name == "bare" ? @settings.endpoints & ["plaintext"] : @settings.endpoints
      names.map { |name| Endpoint::ALL.fetch(name) }
    end

    def load_row(peer, endpoint, connections: @settings.connections, **key)
      key = { section: nil, server: peer.name, endpoint: endpoint.name, connections: connections }.merge(key)
      Row.new(duration + @settings.warmup, key) do |server|
        result = load(server, endpoint, connections: connections)
        result[:notes] = [*result[:notes], *Streaming.note(server.port)] if endpoint.name == "stream" && !result[:failed]
        result
      end
    end

    def load(server, endpoint, connections: @settings.connections, rate: nil)
      before = server.cpu_seconds
      warmup = rate ? 0.5 : @settings.warmup
      result = Generator.run(server.port, endpoint, connections: connections, seconds: duration, warmup: warmup, rate: rate)
      return result if result[:failed]

      # The warm-up is taken to cost what the rest costs.
      cpu = (server.cpu_seconds - before) * duration / (duration + warmup)
      result.merge(pss_mb: server.pss.round(1), cpu_us_per_request: (cpu * 1e6 / result[:requests]).round(1))
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

  # wrk, for a second opinion.
  module Wrk
    def self.run(port, path, connections:, seconds:)
      output = IO.popen(["wrk", "-t1", "-c", connections.to_s, "-d", "#{seconds.ceil}s", "--latency", "http://127.0.0.1:#{port}#{path}"], err: File::NULL, &:read)
      problem = output[/^\s*(Socket errors.*|Non-2xx.*)/, 1]
      rate = output[%r{Requests/sec:\s+([\d.]+)}, 1]
      problem || !rate ? { failed: problem || "wrk said nothing" } : { rate: rate.to_f }
    rescue Errno::ENOENT
      { failed: "wrk is not installed" }
    end
  end
end
