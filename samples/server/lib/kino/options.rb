# frozen_string_literal: true

require_relative "errors"
require_relative "option"

module Kino
  # The one table of options: command line flags, environment variables, configuration directives and
  # Server.new keywords all come from it. Reads no native code, so --help needs none.
  module Options
    TABLE = [
      Option.new(:bind, :list, "127.0.0.1", flag: "-b", metavar: "ADDRESS",
                 help: "address to listen on: host, host:port, [v6]:port, unix:///path, unix:///path?mode=0660 or unix://@name; may be repeated"),
      Option.new(:port, :integer, 9292, range: 0..65_535, flag: "-p",
                 help: "port of the addresses that name none; 0 lets the system choose (the default when embedded)"),
      Option.new(:mode, :choice, :auto, range: %i[auto ractor threaded], flag: "-m",
                 help: "ractor runs handlers in parallel Ractors and needs a shareable app; threaded runs any " \
                       "app; auto takes ractor when it can"),
      Option.new(:workers, :integer, nil, range: 1..1024, flag: "-w", default_text: "16 per CPU; 64 to 128 Ractors",
                 help: "Ractors, or groups of Threads in threaded mode"),
      Option.new(:threads, :integer, nil, range: 1..64, flag: "-t", default_text: "1; threaded: 3",
                 help: "Threads per worker"),
      Option.new(:concurrency, :integer, nil, range: 1..1024, default_text: "usable CPUs; threaded: 1",
                 help: "handlers that compute at once; one that waits lends its place"),
      Option.new(:run_permits, :boolean, true,
                 help: "hold concurrency by permits; false lets every worker run"),
      Option.new(:io_threads, :integer, 1, range: 1..64, help: "native threads that read and write sockets"),
      Option.new(:queue_depth, :integer, 1024, range: 1..1_000_000, help: "requests in the workers' queue; more of them wait beside it, in order, and no longer"),
      Option.new(:queue_timeout, :seconds, 5.0, range: 0.001..3600,
                 help: "how long a complete request waits for a worker before it gets 503"),
      Option.new(:header_timeout, :seconds, 15.0, range: 0.001..3600, help: "for a request's head to arrive, else 408"),
      Option.new(:body_timeout, :seconds, 30.0, range: 0.001..3600, help: "between two pieces of a request's body"),
      Option.new(:keep_alive_timeout, :seconds, 65.0, range: 0.001..86_400, help: "between two requests of a connection"),
      Option.new(:max_keep_alive, :integer, 1000, range: 1..1_000_000_000, help: "requests per connection"),
      Option.new(:max_connections, :integer, nil, range: 1..10_000_000, default_text: "40 % of the file limit, at least 64",
                 help: "open connections; each takes one file, and one more while it has a large body"),
      Option.new(:max_header_size, :bytes, 64 << 10, range: 256..(16 << 20), help: "a request's head, else 431"),
      Option.new(:max_header_fields, :integer, 100, range: 1..65_536, help: "header fields of a request, else 431"),
      Option.new(:max_body_size, :bytes, 50 << 20, range: 0..(1 << 50), help: "a request's body, else 413"),
      Option.new(:body_buffer, :bytes, 64 << 10, range: 4096..(1 << 30),
                 help: "memory for the body of a request, which is collected before the app is called; the rest of " \
                       "it is kept in a file without a name in TMPDIR"),
      Option.new(:stream_body, :list, nil, default_text: "none",
                 help: "requests that the app gets before their body, to read it as it arrives: paths (/upload, with " \
                       "all below; / for all) or content types (application/grpc); may be repeated"),
      Option.new(:min_body_rate, :bytes, 240, range: 0..(1 << 30),
                 help: "bytes per second that a client has to send of a body, else 408; 0 for any"),
      Option.new(:min_response_rate, :bytes, 240, range: 0..(1 << 30),
                 help: "bytes per second that a client has to read of a response, else it is cut off; 0 for any"),
      Option.new(:rate_grace, :seconds, 5.0, range: 0.001..3600,
                 help: "how long a client may do nothing before the minimum rates count"),
      Option.new(:shutdown_timeout, :seconds, 30.0, range: 0..86_400,
                 help: "how long requests in flight may take to finish at shutdown")
    ].freeze

    BY_NAME = TABLE.to_h { |option| [option.name, option] }.freeze

    def self.names
      BY_NAME.keys
    end

    # The option called +name+, or a ConfigError that suggests the one that was meant.
    def self.fetch(name, where = nil)
      BY_NAME.fetch(name.to_sym) do
        raise ConfigError, "#{where ? "#{where}: " : ""}unknown option #{name}#{suggestion(name)}"
      end
    end

    def self.suggestion(name)
      return "" unless defined?(DidYouMean::SpellChecker)

      near = DidYouMean::SpellChecker.new(dictionary: names.map(&:to_s)).correct(name.to_s)
      near.empty? ? "; known are #{names.join(", ")}" : "; did you mean #{near.first}?"
    end
  end
end
