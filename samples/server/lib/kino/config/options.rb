# frozen_string_literal: true

require_relative "../errors"
require_relative "log_types"
require_relative "networks_type"
require_relative "option"
require_relative "processes_type"
require_relative "secret_type"
require_relative "tls_type"

module Kino
  # The table of options. Flags, environment variables, directives, Server.new keywords, `kino --help`, `kino --init`,
  # `kino --completion` and docs/configuration.md are derived from it, so a new option is one entry here, beside
  # the code that uses it. It needs no native code, so --help needs none.
  module Options
    GROUPS = {
      app: "The app", listening: "Listening", tls: "TLS", workers: "Workers", queue: "The queue", connections: "Connections",
      requests: "Requests", responses: "Responses", logging: "Logging", control: "The control plane", process: "The process"
    }.freeze

    TABLE = [
      Option.new(:rackup, :path, "config.ru", group: :app, flag: false, command_only: true, native: false,
                 help: "the app's file; on the command line, it is the argument"),
      Option.new(:environment, :text, nil, group: :app, flag: "-e", command_only: true, native: false, example: "production",
                 default_text: "RACK_ENV stays as it is",
                 help: "RACK_ENV while the app is loaded and served; in the configuration file, it applies unless RACK_ENV is set"),
      Option.new(:bind, :addresses, "127.0.0.1", group: :listening, flag: "-b", native: false,
                 help: "address to listen on: host, host:port, [v6]:port, unix:///path, unix:///path?mode=0660&user=NAME&group=NAME " \
                       "or unix://@name; with https:// or http:// in front, it speaks TLS or not, without them it does if tls is set; " \
                       "?proxy_protocol=true or false behind it replaces the option of that name; may be repeated"),
      Option.new(:port, :integer, 9292, group: :listening, range: 0..65_535, flag: "-p", native: false,
                 help: "port for addresses without one; 0 lets the system choose (the default when embedded)"),
      Option.new(:reuse_port, :boolean, false, group: :listening,
                 help: "other servers that set it, too, may listen on the same TCP addresses at the same time (SO_REUSEPORT): the system " \
                       "spreads new connections over them"),
      Option.new(:trusted_proxies, NetworksType.new, nil, group: :listening, default_text: "none", example: ["private"],
                 help: "networks of proxies that are believed when they say whose requests they forward: addresses, CIDRs, loopback " \
                       "(Unix sockets, too) or private; may be repeated"),
      Option.new(:forwarded_headers, :choice, :x_forwarded, group: :listening, range: %i[x_forwarded forwarded none],
                 help: "header fields of trusted_proxies that name the client: x_forwarded, the fields X-Forwarded-For, Proto, Host and Port; or " \
                       "forwarded, that of RFC 7239; others cannot send them then; without trusted_proxies, they reach the app and change nothing"),
      Option.new(:proxy_protocol, :boolean, false, group: :listening, native: false,
                 help: "connections of trusted_proxies begin with a header of the PROXY protocol, version 1 or 2, also in front of TLS; " \
                       "others have none; for the addresses of bind that do not say (?proxy_protocol=true or false)"),
      Option.new(:tls, TLSType.new, nil, group: :tls, default_text: "none", example: { cert: "server.pem", key: "server.key" },
                 help: "certificate (with those of its authorities) and private key, as files or PEM text; key may be left out if " \
                       "cert has both; ca=FILE and verify=peer or verify=force_peer ask clients for a certificate; may be " \
                       "repeated (KINO_TLS: separated by ;), and clients get the one that fits the name they ask for"),
      Option.new(:handshake_timeout, :seconds, 10.0, group: :tls, range: 0.001..3600,
                 help: "time limit for a TLS handshake (then the connection is closed)"),
      Option.new(:mode, :choice, :auto, group: :workers, range: %i[auto ractor threaded], flag: "-m", native: false,
                 help: "ractor runs handlers in parallel Ractors and needs a shareable app; threaded runs any " \
                       "app; auto uses ractor if the app is shareable"),
      Option.new(:workers, :integer, nil, group: :workers, range: 1..1024, flag: "-w", native: false, example: 64,
                 default_text: "16 per CPU, 64 to 128 Ractors",
                 help: "number of Ractors, or of groups of Threads in threaded mode"),
      Option.new(:threads, :integer, nil, group: :workers, range: 1..64, flag: "-t", native: false, example: 3,
                 default_text: "1 (threaded: 3)", help: "Threads per worker"),
      Option.new(:processes, ProcessesType.new, 1, group: :workers, native: false,
                 help: "number of processes that serve the app, each with these numbers of workers; a master process forks them once " \
                       "the app is loaded; auto: one per usable CPU in threaded mode, where a process computes on one CPU at a time, " \
                       "and else 1"),
      Option.new(:process_start_timeout, :seconds, 60.0, group: :workers, range: 0.1..86_400, native: false,
                 help: "time in which a process of several must become ready (then it is killed and replaced)"),
      Option.new(:process_timeout, :seconds, 60.0, group: :workers, range: 0.5..86_400, native: false,
                 help: "time in which a process of several must give a sign of life (then it is killed and replaced): none of its " \
                       "Ruby threads runs, because one keeps the GVL; waiting handlers do not matter"),
      Option.new(:max_requests, :integer, 0, group: :workers, range: 0..1_000_000_000,
                 help: "number of requests after which a worker Ractor is replaced, with its Threads; in threaded mode, with several " \
                       "processes, a process; between two requests and one after the other; its successor serves before it leaves; 0: " \
                       "never; no effect in threaded mode with one process, where a new Thread would free nothing"),
      Option.new(:max_requests_jitter, :integer, nil, group: :workers, range: 0..1_000_000_000, example: 100,
                 default_text: "a tenth of max_requests",
                 help: "up to so many requests are added to max_requests, at random for each Ractor or process"),
      Option.new(:quarantine_timeout, :seconds, nil, group: :workers, range: 0.1..86_400, default_text: "none", example: 120,
                 help: "time that a worker may have one request, until its handler and the body of its response are done; then it is " \
                       "stuck: another worker takes its place, and it ends when it returns; longer than the longest stream or download"),
      Option.new(:quarantine_max, :integer, nil, group: :workers, range: 1..1024, example: 4, default_text: "a quarter of the workers, at least 1",
                 help: "maximum number of stuck workers that others take the place of at a time; each keeps its thread, its memory and its " \
                       "connections"),
      Option.new(:concurrency, :integer, nil, group: :workers, range: 1..1024, example: 4,
                 default_text: "usable CPUs (threaded: 1)",
                 help: "maximum number of running handlers; a blocked handler frees its slot"),
      Option.new(:run_permits, :boolean, true, group: :workers,
                 help: "limit the number of running handlers to concurrency; false lets every worker run"),
      Option.new(:io_threads, :integer, 1, group: :workers, range: 1..64, help: "native threads that read and write sockets"),
      Option.new(:queue_depth, :integer, 1024, group: :queue, range: 1..1_000_000,
                 help: "capacity of the workers' queue; further requests wait for a place in it, in order and subject to queue_timeout"),
      Option.new(:queue_timeout, :seconds, 5.0, group: :queue, range: 0.001..3600,
                 help: "time that a complete request may wait for a worker (then 503)"),
      Option.new(:queue_target, :seconds, nil, group: :queue, range: 0.001..60, default_text: "no load is shed", example: 0.05,
                 help: "sheds load: when all requests have waited longer than this for 20 times as long, those that have waited " \
                       "longer than twice this get 503 with Retry-After, until the queue is short again"),
      Option.new(:request_timeout, :seconds, nil, group: :queue, range: 0.001..86_400, default_text: "none", example: 30,
                 help: "time that a handler may take until its response begins (then 504); the handler is not interrupted, and " \
                       "what it responds later is dropped"),
      Option.new(:max_connections, :integer, nil, group: :connections, range: 1..10_000_000, example: 10_000,
                 default_text: "80 % of the file limit, at least 64",
                 help: "maximum number of open connections; each uses one file descriptor"),
      Option.new(:keep_alive_timeout, :seconds, 65.0, group: :connections, range: 0.001..86_400,
                 help: "time that a connection may be idle between two requests"),
      Option.new(:max_keep_alive, :integer, 1000, group: :connections, range: 1..1_000_000_000,
                 help: "maximum number of requests per HTTP/1 connection"),
      Option.new(:http2, :boolean, nil, group: :connections, example: true, default_text: "true if the server was built with nghttp2",
                 help: "HTTP/2 beside HTTP/1 on every address: with TLS if the client chooses it, without TLS if the client " \
                       "begins with it; false: HTTP/1 alone"),
      Option.new(:max_concurrent_streams, :integer, 100, group: :connections, range: 1..10_000,
                 help: "maximum number of unanswered requests of an HTTP/2 connection, and no more than queue_depth"),
      Option.new(:websockets, :boolean, nil, group: :connections, example: true,
                 default_text: "true if the server was built with wslay",
                 help: "offer WebSockets to the app, as env[\"rack.upgrade?\"]"),
      Option.new(:http2_websockets, :boolean, false, group: :connections,
                 help: "offer WebSockets to clients of HTTP/2, too (extended CONNECT), for apps whose WebSockets are all the " \
                       "server's: those on rack.hijack or rack.protocol need HTTP/1.1, which browsers then no longer use for them"),
      Option.new(:websocket_compression, :boolean, nil, group: :connections, example: true,
                 default_text: "true if the server was built with zlib",
                 help: "compress messages of 1 KiB and more to clients of WebSockets that offer it (permessage-deflate), and " \
                       "let them compress theirs"),
      Option.new(:event_streams, :boolean, true, group: :connections,
                 help: "offer event streams (server-sent events) to the app, as env[\"rack.upgrade?\"], if a client asks for one"),
      Option.new(:max_websocket_message_size, :bytes, 1 << 20, group: :connections, range: 1..(1 << 30),
                 help: "maximum size of a message from the client of a WebSocket (else it is closed with 1009)"),
      Option.new(:max_websocket_pending, :bytes, 4 << 20, group: :connections, range: 1024..(1 << 40),
                 help: "bytes that may wait for the client of a WebSocket or an event stream that reads more slowly than it is written " \
                       "to (else the connection is closed)"),
      Option.new(:websocket_ping_interval, :seconds, 40.0, group: :connections, range: 0.001..86_400,
                 help: "time after which the client of a WebSocket is pinged if it sends nothing; after twice that time, it is given up; " \
                       "event streams get a comment as often"),
      Option.new(:pubsub, :text, nil, group: :connections, native: false, example: "redis://127.0.0.1:6379",
                 default_text: "none; with several processes: a directory of their own",
                 help: "where what Kino.publish sends reaches other processes: unix:///DIRECTORY for those of one machine, or " \
                       "redis://HOST:PORT/DB (rediss:// with TLS) with the gem redis-client"),
      Option.new(:early_hints, :boolean, false, group: :connections,
                 help: "env has rack.early_hints (103) over HTTP/1.1, too, and not only over HTTP/2; not every proxy " \
                       "expects a 103"),
      Option.new(:rate_grace, :seconds, 5.0, group: :connections, range: 0.001..3600,
                 help: "time that a client may make no progress before the minimum rates apply"),
      Option.new(:header_timeout, :seconds, 15.0, group: :requests, range: 0.001..3600,
                 help: "time limit for receiving request headers (then 408)"),
      Option.new(:max_header_size, :bytes, 64 << 10, group: :requests, range: 256..(16 << 20),
                 help: "maximum size of the request line and headers (else 431)"),
      Option.new(:max_header_fields, :integer, 100, group: :requests, range: 1..65_536,
                 help: "maximum number of header fields of a request (else 431)"),
      Option.new(:body_timeout, :seconds, 30.0, group: :requests, range: 0.001..3600,
                 help: "time without progress while a request body is received (then 408)"),
      Option.new(:min_body_rate, :rate, 240, group: :requests, range: 0..(1 << 30),
                 help: "minimum rate at which a client must send a body (else 408); 0 for no minimum"),
      Option.new(:max_body_size, :bytes, 50 << 20, group: :requests, range: 0..(1 << 50),
                 help: "maximum size of a request body (else 413)"),
      Option.new(:body_buffer, :bytes, 64 << 10, group: :requests, range: 4096..(1 << 30),
                 help: "memory for a request body, which is collected before the app is called; the rest of it is " \
                       "kept in an unlinked file in TMPDIR"),
      Option.new(:stream_body, :list, nil, group: :requests, default_text: "none", example: ["/upload", "application/grpc"],
                 each: %r{/}, each_text: "a path like /upload or a content type like application/grpc",
                 help: "requests whose body the app reads as it arrives: paths (/upload, including all paths below it; " \
                       "/ for all) or content types (application/grpc); may be repeated"),
      Option.new(:min_response_rate, :rate, 240, group: :responses, range: 0..(1 << 30),
                 help: "minimum rate at which a client must read a response (else the connection is aborted); 0 for no minimum"),
      Option.new(:max_response_temp_file, :bytes, 64 << 20, group: :responses, range: 0..(1 << 50),
                 help: "bytes of a response that wait in an unlinked file in TMPDIR for a slow client; beyond that, the app of a " \
                       "streamed response must wait, too, and any other takes memory; 0: none"),
      Option.new(:log_requests, :boolean, nil, group: :logging, native: false, example: true,
                 default_text: "true with another option of the log", help: "log every request to access_log"),
      Option.new(:access_log, LogDestinationType.new, "stdout", group: :logging, native: false, example: "log/access.log",
                 help: "where requests are logged"),
      Option.new(:access_log_format, LogFormatType.new, "combined", group: :logging, native: false, example: "json",
                 help: "what the line of a request contains"),
      Option.new(:access_log_sample, :integer, 1, group: :logging, native: false, range: 1..1_000_000,
                 help: "log one request out of so many, and every one that failed: its status is 400 or more, or its response incomplete"),
      Option.new(:control_bind, :addresses, nil, group: :control, native: false, default_text: "none", example: "unix:///run/kino.sock",
                 help: "address of the control plane for probes, Prometheus and `kino ctl`, in the forms of bind (9293 is its " \
                       "port by default); the file of a Unix socket has mode 0600 unless it says otherwise"),
      Option.new(:control_token, SecretType.new, nil, group: :control, native: false, default_text: "none", example: "@/etc/kino.token",
                 help: "what clients of the control plane must send as Authorization: Bearer; required for addresses that other " \
                       "machines can reach; as a flag, other users see it in the list of processes"),
      Option.new(:route_metrics, :integer, 0, group: :control, range: 0..10_000,
                 help: "number of routes that have a histogram of their own in /metrics; those that come later share one; an app " \
                       "says in env[\"kino.route\"] which route it has taken, Rails and Sinatra say it by themselves; 0: none"),
      Option.new(:pidfile, :path, nil, group: :process, native: false, example: "tmp/server.pid", default_text: "none",
                 help: "file for the pid while the server runs; the file of a running process is not replaced"),
      Option.new(:drain_delay, :seconds, 0.0, group: :process, range: 0..3600, native: false,
                 help: "time between the signal to stop and the end of accepting: responses already close their connections, and a " \
                       "load balancer has time to send new ones elsewhere"),
      Option.new(:shutdown_timeout, :seconds, 30.0, group: :process, range: 0..86_400, native: false,
                 help: "time that in-flight requests may take to finish at shutdown")
    ].freeze

    BY_NAME = TABLE.to_h { |option| [option.name, option] }.freeze

    # Those of Kino::Server.new.
    SERVER = TABLE.reject(&:command_only?).freeze

    def self.names
      BY_NAME.keys
    end

    # [[title, options]] in the order of GROUPS.
    def self.by_group
      GROUPS.map { |key, title| [title, TABLE.select { |option| option.group == key }] }
    end

    # The option called +name+. Raises a ConfigError that suggests the closest name; +where+ is the place of the name,
    # and +written+ the form in which options are written there.
    def self.fetch(name, where = nil, written: :name)
      BY_NAME.fetch(name.to_sym) do
        excerpt = where.excerpt(name) if where.respond_to?(:excerpt)
        raise ConfigError, "#{"#{where}: " if where}unknown option #{name}#{suggestion(name, written)}#{excerpt}"
      end
    end

    # Likewise; raises as well for one that only the command kino has.
    def self.of_server(name, where)
      option = fetch(name, where)
      raise ConfigError, "#{where}: #{option.name} is an option of the command kino, not of a server" if option.command_only?

      option
    end

    def self.suggestion(name, written = :name)
      near = Spelling.nearest(name, names.map(&:to_s))
      near ? "; did you mean #{BY_NAME.fetch(near.to_sym).public_send(written)}?" : "; `kino --help` lists the options"
    end
  end
end
