# frozen_string_literal: true

module Bench
  # HTTP/2 without TLS, by h2load.
  module Http2
    CONNECTIONS = 8
    STREAMS = 32
    NAMES = { http1: "HTTP/1.1", http2: "HTTP/2, #{CONNECTIONS} × #{STREAMS}" }.freeze
    # The servers that speak it on the port of HTTP/1, or on one of their own.
    SERVERS = %w[kino kino-threaded rust-kino-32 falcon itsi nginx].freeze

    module_function

    def run(port, path, seconds:)
      load(port, path, CONNECTIONS, STREAMS, seconds)
    end

    def load(port, path, connections, streams, seconds, *options)
      command = ["h2load", "-t1", "-c", connections.to_s, "-m", streams.to_s, "-D", seconds.ceil.to_s, *options, "http://127.0.0.1:#{port}#{path}"]
      output = IO.popen(Machine.pinned(Machine.load_cpus, command), err: File::NULL, &:read)
      rate = output[%r{^finished in \S+, ([\d.]+) req/s}, 1]
      done, failed = output.match(/(\d+) done, \d+ succeeded, (\d+) failed/)&.captures&.map(&:to_i)
      return { failed: "h2load: #{failed ? "#{failed} requests failed" : "no number"}" } unless rate && failed&.zero? && done.positive?
      return { failed: "h2load: not every status is 2xx" } unless output[/status codes: (\d+) 2xx/, 1].to_i >= done

      { rate: rate.to_f, requests: done }
    rescue Errno::ENOENT
      { failed: "h2load is not installed" }
    end
  end

  # nginx, which has no app: it shows what a server of its kind costs.
  module Nginx
    module_function

    def installed?
      system("nginx", "-v", %i[out err] => File::NULL)
    end

    # A configuration that answers /plaintext on +port+ and, if given, on ports for HTTP/2 and TLS.
    def configuration(port, processes, http2_port: nil, tls_port: nil, **)
      home = Endpoint.scratch
      listen = ["127.0.0.1:#{port}"]
      listen << "127.0.0.1:#{http2_port} http2" if http2_port
      listen << "127.0.0.1:#{tls_port} ssl" if tls_port
      certificate = tls_port ? "ssl_certificate #{Tls.files[:cert]}; ssl_certificate_key #{Tls.files[:key]}; ssl_protocols TLSv1.2 TLSv1.3;" : ""
      Endpoint.scratch_file("nginx.conf", <<~CONF)
        daemon off; pid #{home}/nginx.pid; error_log stderr error; worker_processes #{processes};
        events { worker_connections 2048; }
        http {
          access_log off; keepalive_requests 1000000000;
          #{%w[client_body fastcgi proxy scgi uwsgi].map { |name| "#{name}_temp_path #{home}/nginx;" }.join(" ")}
          server {
            #{listen.map { |address| "listen #{address};" }.join(" ")}
            #{certificate}
            location /plaintext { default_type text/plain; return 200 "Hello, World!"; }
          }
        }
      CONF
    end
  end
end
