# frozen_string_literal: true

require "optparse"

module Bench
  # The settings of a run: what is measured, and for how long.
  class Settings
    attr_reader :servers, :endpoints, :sections, :rounds, :turns, :seconds, :warmup, :connections, :worker_counts,
                :connection_counts, :rails, :output, :missing, :quick

    def self.parse(arguments) = new.tap { |settings| settings.parse(arguments) }

    def initialize
      @servers = Peers.all.keys
      @endpoints = Endpoint::ALL.keys - ["slow"]
      @sections = Sections::NAMES + Sections::PROGRAMS
      @rounds = 3
      @turns = 5
      @seconds = 2.0
      @warmup = 0.3
      @connections = 64
      @worker_counts = [1, 2, 4, 8, 16, 32]
      @connection_counts = [1, 8, 64, 256, 1024]
      @missing = []
    end

    def parse(arguments)
      shorten if arguments.delete("--quick")
      parser.parse!(arguments)
      raise OptionParser::InvalidArgument, arguments.join(" ") if arguments.any?

      @sections -= ["rails"] unless @rails

      @output ||= File.join(Peers::ROOT, "build", "benchmarks", "#{Time.now.strftime("%Y%m%d-%H%M%S")}-#{Machine.commit.tr(" ", "-")}-ruby-#{RUBY_VERSION}")
    rescue OptionParser::ParseError => e
      abort "#{e.message}; --help lists the options"
    end

    def installer = @installer ||= Installer.new(ENV.fetch("KINO_BENCH_PEERS"))

    # The options of a separate measuring program.
    def for_program = ["--rounds", @rounds.to_s, *(["--seconds", "0.3"] if @quick)]

    private

    def parser
      OptionParser.new do |options|
        options.banner = "Usage: benchmarks/run [options]"
        options.on("--quick", "one short round, which takes minutes; other options override its settings") { shorten }
        options.on("--only LIST", Array, "sections: #{@sections.join(", ")}") do |list|
          @sections = known(list, Sections::NAMES + Sections::PROGRAMS)
          @rails ||= list.include?("rails")
        end
        options.on("--servers LIST", Array, "servers: #{Peers.all.keys.join(", ")}") { |list| @servers = known(list, Peers.all.keys) }
        options.on("--endpoints LIST", Array, "endpoints: #{@endpoints.join(", ")}") { |list| @endpoints = known(list.map { |path| path.delete_prefix("/") }, Endpoint::ALL.keys) }
        options.on("--rounds N", Integer, "number of rounds; each starts new servers (#{@rounds})") { |count| @rounds = count }
        options.on("--turns N", Integer, "turns of every server per round (#{@turns})") { |count| @turns = count }
        options.on("--seconds S", Float, "measured time per turn (#{@seconds})") { |value| @seconds = value }
        options.on("--warmup S", Float, "warm-up before each turn (#{@warmup})") { |value| @warmup = value }
        options.on("--connections N", Integer, "of the load generator (#{@connections})") { |count| @connections = count }
        options.on("--rails", "measure a Rails application, too (the section rails, and in frameworks); installs Rails") { @rails = true }
        options.on("--output DIR", "directory for the results (build/benchmarks/...)") { |path| @output = File.expand_path(path) }
      end
    end

    def shorten
      @quick = true
      @rounds = 1
      @turns = 1
      @seconds = 1.0
      @worker_counts = [2, 8, 32]
      @connection_counts = [8, 64, 256]
      @sections -= %w[connections cores frameworks wrk tls h2 websocket grpc micro dispatch]
      @servers -= %w[puma-5 puma-threads-32 rust-kino hyperion-async]
    end

    def known(list, names)
      unknown = list - names
      raise OptionParser::InvalidArgument, "#{unknown.join(", ")} (known: #{names.join(", ")})" if unknown.any?

      list
    end
  end
end
