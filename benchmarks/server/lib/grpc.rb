# frozen_string_literal: true

module Bench
  # One unary method of gRPC, Reverse of examples/grpc.ru, by h2load.
  module GRPC
    CONNECTIONS = 5
    STREAMS = 10
    SERVERS = %w[kino kino-threaded grpc-gem grpc-falcon grpc-python].freeze
    EXAMPLE = File.join(Peers::ROOT, "samples/server/examples/grpc.ru")
    PATH = "/example.Texts/Reverse"
    # A message is five bytes, and a protobuf with one field.
    REQUEST, RESPONSE = [13, 13].zip(%w[hello\ world dlrow\ olleh]).map { |length, text| [0, length, 10, text.size].pack("CNCC") << text }
    FIELDS = ["content-type: application/grpc", "te: trailers"].flat_map { |field| ["-H", field] }.freeze

    # An interpreter that has grpcio; Debian's is not always the first one.
    PYTHON = %w[/usr/bin/python3 python3].find { |name| system(name, "-c", "import grpc", %i[out err] => File::NULL) }

    module_function

    def available(peers, _settings) = peers

    def problem_with_python
      "the Python package grpcio is not installed (Debian: python3-grpcio)" unless PYTHON
    end

    def options(peer)
      peer.gem || peer.native ? {} : { rackup: EXAMPLE }
    end

    def run(port, seconds:)
      problem = wrong_answer(port)
      return { failed: problem } if problem

      Http2.load(port, PATH, CONNECTIONS, STREAMS, seconds, "-d", message_file, *FIELDS)
    end

    # h2load checks no bodies and no trailers, so curl does before it.
    def wrong_answer(port)
      answer = IO.popen(["curl", "-s", "-m", "10", "--http2-prior-knowledge", "--data-binary", "@#{message_file}", *FIELDS, "-D", "-",
                         "http://127.0.0.1:#{port}#{PATH}"], &:read).b
      # The trailers follow the message, on the same line.
      "the response is #{answer[0, 300].inspect}" unless answer.include?(RESPONSE) && answer.match?(/grpc-status: ?0\r/i)
    end

    def message_file
      @message_file ||= Endpoint.scratch_file("grpc-message", REQUEST)
    end
  end
end
