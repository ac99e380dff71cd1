# frozen_string_literal: true

require "json"

module Bench
  # WebSockets, by websocket_load.
  module WebSockets
    BINARY = File.join(ENV.fetch("KINO_BENCH_NATIVE"), "websocket_load")
    RACKUP = File.join(Peers::HERE, "websocket.ru")
    KINDS = %i[echo broadcast idle].freeze
    SERVERS = %w[kino kino-threaded puma falcon iodine agoo node-ws].freeze
    # The gems that a server needs for them: a name for their directory, and the gems.
    GEMS = { "puma" => ["faye-websocket", ["faye-websocket"]], "falcon" => ["async-websocket", ["async-websocket"]] }.freeze
    # The servers whose channels, by these gems, reach one process only.
    ONE_PROCESS = { "puma" => { workers: 0 }, "falcon" => { workers: 1 } }.freeze
    MANY = 10_000
    MESSAGES = 5

    module_function

    # Those peers whose gems can be installed.
    def available(peers, settings)
      peers.select do |peer|
        gems = GEMS[peer.name]
        problem = gems && settings.installer.install(*gems)
        settings.missing << "#{peer.label}, WebSockets: #{problem}" if problem
        !problem
      end
    end

    # One line that says why Node or its package is missing, or nil.
    def problem_with_node(directory)
      home = File.join(directory, "ws")
      ENV["NODE_PATH"] = File.join(home, "node_modules")
      return if File.directory?("#{ENV["NODE_PATH"]}/ws")

      FileUtils.mkdir_p(home)
      done = system("timeout", "120", "npm", "install", "--silent", "--prefix", home, "ws@8", in: File::NULL, %i[out err] => "#{home}/install.log")
      done.nil? ? "npm is not installed" : ("npm could not install ws, see #{home}/install.log" unless done)
    end

    # Each connection sends its next message when it has the echo of the one before.
    def echo(port, settings)
      run(port, "--path", "/echo", "--connections", settings.connections, "--warmup", settings.warmup, "--seconds", settings.seconds)
    end

    # One message to MANY connections, some times. The block is given what is to be measured.
    def broadcast(server, &measure)
      many(server, "--path", "/broadcast", "--messages", MESSAGES) do |load|
        measure.call do
          load.puts
          result_of(load.read)
        end
      end
    end

    # What MANY idle connections add to the memory of all processes.
    def idle(server)
      before = server.pss
      many(server, "--hold") { { kb_each: (server.pss - before) * 1024 / MANY } }
    end

    # Yields once MANY connections are open.
    def many(server, *options)
      IO.popen(command(server.port, "--connections", MANY, *options), "r+") do |load|
        line = load.gets.to_s
        line == "ready\n" ? yield(load) : result_of(line)
      end
    end

    def run(port, *options)
      result_of(IO.popen(command(port, *options), &:read))
    end

    def result_of(text)
      JSON.parse(text, symbolize_names: true)
    rescue JSON::ParserError
      { failed: "websocket_load printed no result" }
    end

    def command(port, *options)
      Machine.pinned(Machine.load_cpus, [BINARY, "--port", port.to_s, *options.map(&:to_s)])
    end
  end
end
