# frozen_string_literal: true

require_relative "../config/log_levels"

module Kino
  # What `kino ctl` understands; its help and the completion of shells are made of this.
  module ControlVerbs
    # +path+ is asked for with POST if it is +post+; +argument+: the possible values of its argument, nil without one.
    Verb = Struct.new(:path, :post, :argument, :help, keyword_init: true)
    VERBS = {
      "stats" => Verb.new(path: "/stats", help: "print the statistics"),
      "workers" => Verb.new(path: "/workers", help: "print what each worker does; --backtraces adds those of the main Ractor's Threads"),
      "metrics" => Verb.new(path: "/metrics", help: "print the metrics, as Prometheus reads them"),
      "ready" => Verb.new(path: "/ready", help: "status 0 if the server is ready, else 1"),
      "reload" => Verb.new(path: "/reload", post: true, help: "reopen log files and read certificates again, as HUP does"),
      "stop" => Verb.new(path: "/stop", post: true, help: "drain in-flight requests and stop, as TERM does"),
      "log-level" => Verb.new(path: "/log-level", post: true, argument: LOG_LEVELS,
                              help: "LEVEL: set the level of every Kino::Logger of the main Ractor")
    }.freeze

    # +takes+: the name of the value, nil for none; +file+: whether it is a file.
    Flag = Struct.new(:names, :takes, :file, :help, keyword_init: true)
    FLAGS = {
      config: Flag.new(names: %w[-C --config], takes: "FILE", file: true, help: "configuration file (default: kino.rb, else config/kino.rb)"),
      pidfile: Flag.new(names: %w[--pidfile], takes: "FILE", file: true, help: "pidfile of the server, which leads to its control plane"),
      control: Flag.new(names: %w[--control], takes: "ADDRESS", help: "address of the control plane: host:port or unix:///path"),
      json: Flag.new(names: %w[--json], help: "print JSON: of stats and workers as it comes, of others {\"status\", \"message\"}"),
      backtraces: Flag.new(names: %w[--backtraces], help: "with workers"),
      help: Flag.new(names: %w[-h --help], help: "print this")
    }.freeze
  end
end
