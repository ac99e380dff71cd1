# frozen_string_literal: true

require "fileutils"
require "rbconfig"
require "uri"

module Bench
  # A server: the source of its gem, and the command that starts it. Every peer has its own GEM_HOME, because one
  # of them has the same name as our gem. A +native+ one is no Ruby program. +only+: the sections that it is measured in.
  Peer = Struct.new(:name, :gem, :label, :command, :helpers, :native, :only, keyword_init: true) do
    # The command line that serves +rackup+ on +port+, with the processes and threads of the variant.
    def command_for(port, rackup, **variant)
      instance_exec(port, rackup, variant, &command)
    end
  end

  # Every server of the comparison. Configurable processes: one per CPU; configurable threads: 3 in each; a variant may
  # override both. All other settings are each server's defaults; access logs are off.
  module Peers
    ROOT = File.expand_path("../../..", __dir__)
    HERE = File.expand_path("..", __dir__)

    module_function

    # +flags+ are its default for the sections in +only+.
    def ours(name, label, mode, flags = [], only: nil)
      Peer.new(name: name, label: label, only: only, command: lambda { |port, rackup, variant|
        workers = variant[:workers] ? ["-w", variant[:workers].to_s] : []
        tls = variant[:tls_port] ? ["-b", "https://127.0.0.1:#{variant[:tls_port]}", "--tls", Tls.option] : []
        ["-W:no-experimental", "#{ROOT}/samples/server/exe/kino", "-b", "http://127.0.0.1:#{port}", *tls, "-m", variant[:mode] || mode, *flags, *workers, rackup]
      })
    end

    # kino with as many Threads or Ractors as the other servers have for Rails.
    def rails
      cpus = Machine.server_cpu_count
      flags = ["-t", "1", "-w"]
      [
        ours("kino-rails-threads", "kino, 1 process × 3 Threads", "threaded", [*flags, "3"], only: %w[rails]),
        ours("kino-rails-processes", "kino, #{cpus} processes × 3 Threads", "threaded", [*flags, "3", "--processes", cpus.to_s], only: %w[rails]),
        ours("kino-rails-ractors", "kino, #{cpus * 3} Ractors", "ractor", [*flags, (cpus * 3).to_s, "--rails"], only: %w[rails])
      ]
    end

    def puma(name, label, threads, cluster: true)
      Peer.new(name: name, gem: "puma", label: label, command: lambda { |port, rackup, variant|
        workers = variant[:workers] || (cluster ? Machine.server_cpu_count : 0)
        tls = variant[:tls_port] ? ["-b", "ssl://127.0.0.1:#{variant[:tls_port]}?#{URI.encode_www_form(Tls.files)}"] : []
        ["-S", "puma", "-q", "-b", "tcp://127.0.0.1:#{port}", *tls, "-e", "production", "-w", workers.to_s, "-t", "#{threads}:#{threads}", rackup]
      })
    end

    def rust_kino(name, label, elastic: nil)
      Peer.new(name: name, gem: "kino", label: label, command: lambda { |port, rackup, variant|
        config = Endpoint.scratch_file("#{name}.rb", elastic && !variant[:workers] ? "max_workers #{elastic}\n" : "")
        workers = variant[:workers] ? ["-w", variant[:workers].to_s] : []
        ["-W:no-experimental", "-S", "kino", "-C", config, "-b", "127.0.0.1", "-p", port.to_s, "-m", variant[:mode] || "ractor", *workers, rackup]
      })
    end

    # --async-io requires a library that is built for it.
    def hyperion(name, label, extra = [], config: "")
      Peer.new(name: name, gem: "hyperion-rb", helpers: %w[logger fiddle async-http], label: label, command: lambda { |port, rackup, variant|
        workers = variant[:workers] || Machine.server_cpu_count
        file = Endpoint.scratch_file("#{name}.rb", config)
        ["-S", "hyperion", "-C", file, "-b", "127.0.0.1", "-p", port.to_s, "-w", workers.to_s, "-t", "3", "--no-log-requests", *extra, rackup]
      })
    end

    def all
      @all ||= build.to_h { |peer| [peer.name, peer] }
    end

    def build
      cpus = Machine.server_cpu_count
      [
        ours("kino", "kino, default (:ractor)", "ractor"),
        ours("kino-threaded", "kino :threaded", "threaded"),
        puma("puma", "Puma cluster, #{cpus} × 3", 3),
        puma("puma-5", "Puma cluster, #{cpus} × 5", 5),
        puma("puma-threads", "Puma, 1 × 16", 16, cluster: false),
        puma("puma-threads-32", "Puma, 1 × 32", 32, cluster: false),
        rust_kino("rust-kino", "Kino (Rust), default"),
        rust_kino("rust-kino-32", "Kino (Rust), up to 32 workers", elastic: 32),
        Peer.new(name: "falcon", gem: "falcon", label: "Falcon, #{cpus}", command: lambda { |port, rackup, variant|
          ["-S", "falcon", "serve", "--bind", "http://127.0.0.1:#{port}", "--count", (variant[:workers] || cpus).to_s, "-c", rackup]
        }),
        Peer.new(name: "iodine", gem: "iodine", label: "Iodine, #{cpus} × 3", command: lambda { |port, rackup, variant|
          ["-S", "iodine", "-b", "127.0.0.1", "-p", port.to_s, "-w", (variant[:workers] || cpus).to_s, "-t", "3", rackup]
        }),
        Peer.new(name: "agoo", gem: "agoo", helpers: %w[logger rackup:~>2.0], label: "Agoo, #{cpus} × 3", command: lambda { |port, rackup, variant|
          ["-S", "rackup", "-s", "agoo", "-E", "production", "-o", "127.0.0.1", "-p", port.to_s, "-O", "wc=#{variant[:workers] || cpus}",
           "-O", "thread_count=3", "-O", "silent", rackup]
        }),
        Peer.new(name: "itsi", gem: "itsi", label: "Itsi, #{cpus} × 3", command: lambda { |port, rackup, variant|
          ["-S", "itsi", "start", "-b", "http://127.0.0.1:#{port}", "-w", (variant[:workers] || cpus).to_s, "-t", "3", "-r", rackup]
        }),
        Peer.new(name: "pitchfork", gem: "pitchfork", label: "Pitchfork, #{cpus * 3} × 1", command: lambda { |port, rackup, variant|
          config = Endpoint.scratch_file("pitchfork.rb", "worker_processes #{(variant[:workers] || cpus) * 3}\n")
          ["-S", "pitchfork", "-l", "127.0.0.1:#{port}", "-E", "production", "-c", config, rackup]
        }),
        hyperion("hyperion", "Hyperion, #{cpus} × 3"),
        hyperion("hyperion-async", "Hyperion --async-io, #{cpus} × 3", ["--async-io"], config: "require 'async/http'\n"),
        Peer.new(name: "nginx", label: "nginx, #{cpus} processes, no app", native: true, only: %w[h2 tls], command: lambda { |port, _rackup, variant|
          ["nginx", "-c", Nginx.configuration(port, cpus, **variant)]
        }),
        Peer.new(name: "node-ws", label: "Node's ws, 1 process", native: true, only: %w[websocket], command: lambda { |port, _rackup, _variant|
          ["node", "#{HERE}/websocket.js", port.to_s]
        }),
        Peer.new(name: "grpc-gem", gem: "grpc", label: "the gem grpc's own server", only: %w[grpc], command: lambda { |port, _rackup, _variant|
          ["#{HERE}/grpc_server.rb", port.to_s]
        }),
        Peer.new(name: "grpc-falcon", gem: "async-grpc", helpers: %w[falcon], label: "async-grpc in Falcon, #{cpus}", only: %w[grpc], command: lambda { |port, _rackup, _variant|
          ["#{HERE}/grpc_falcon.rb", port.to_s, cpus.to_s]
        }),
        Peer.new(name: "grpc-python", label: "Python's grpcio", native: true, only: %w[grpc], command: lambda { |port, _rackup, _variant|
          [GRPC::PYTHON, "#{HERE}/grpc_server.py", port.to_s]
        }),
        Peer.new(name: "bare", label: "bare C++ server, no Ruby", native: true, command: lambda { |port, _rackup, _variant|
          [ENV.fetch("KINO_BENCH_NATIVE") + "/bare_server", port.to_s]
        }),
        *rails
      ]
    end
  end

  # Installs the gems of a peer where only that peer finds them.
  class Installer
    def initialize(directory)
      @directory = directory
    end

    def home(gem)
      File.join(@directory, gem)
    end

    # One line that says why the peer is not available, or nil.
    def problem_with(peer)
      return ("nginx is not installed" unless Nginx.installed?) if peer.name == "nginx"
      return WebSockets.problem_with_node(@directory) if peer.name == "node-ws"
      return GRPC.problem_with_python if peer.name == "grpc-python"
      return RailsApp.problem_with_ractors if peer.name == "kino-rails-ractors"
      return unless peer.gem

      install(peer.gem, [peer.gem, "rack:~>3.0", *peer.helpers])
    end

    # Returns nil or a reason. A failure is remembered until the directory is removed, because some take minutes.
    def install(name, gems)
      home = home(name)
      return if File.exist?("#{home}/complete")
      return File.read("#{home}/failed") if File.exist?("#{home}/failed")

      $stderr.puts "kino: installing the gems #{gems.join(" ")} into #{home}"
      FileUtils.mkdir_p(home)
      log = "#{home}/install.log"
      done = system({ "GEM_HOME" => home, "GEM_PATH" => "", "RUBYOPT" => nil }, "timeout", "900", RbConfig.ruby, "-rrubygems/gem_runner",
                    "-e", "Gem::GemRunner.new.run(ARGV)", "--", "install", "--no-document", "--conservative", *gems, in: File::NULL, %i[out err] => log)
      return FileUtils.touch("#{home}/complete") && nil if done

      reason = File.readlines(log).map(&:strip).reject(&:empty?).grep(/ERROR|rror:|requires|not find/).first || "gem install failed, see #{log}"
      File.write("#{home}/failed", reason[0, 200])
      reason[0, 200]
    end
  end
end
