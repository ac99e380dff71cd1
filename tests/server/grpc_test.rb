# frozen_string_literal: true

require "json"
require "open3"
require "rack"

require_relative "support/tls"

# gRPC through plain Rack: examples/grpc.ru, with Google's client (Debian: python3-grpcio), with TLS and without.
class GRPCTest < TLSServerTest
  EXAMPLE = File.join(Child::ROOT, "examples/grpc.ru")
  CLIENT = File.expand_path("support/grpc_client.py", __dir__)

  # The interpreter that has the client.
  PYTHON = %w[/usr/bin/python3 python3].find do |command|
    Open3.capture2e(command, "-c", "import grpc, google.protobuf").last.success?
  rescue Errno::ENOENT
    false
  end

  # An app whose methods raise, before and after the first message.
  module Broken
    class Later
      def call(stream)
        stream.write("\0\0\0\0\3\x0a\1x".b)
        stream.flush
        raise "it broke later"
      end

      def trailers
        { "grpc-status" => "0" }
      end
    end

    def self.call(env)
      raise "it broke" unless env["PATH_INFO"].end_with?("Later")

      [200, { "content-type" => "application/grpc" }, Later.new]
    end
  end

  def self.example
    @example ||= Array(Rack::Builder.parse_file(EXAMPLE)).first # Rack 2 returns a pair
  end

  def example
    self.class.example
  end

  # What the client has got.
  def call(server, scenario)
    certificate = File.join(directory, "server.pem")
    command = [PYTHON, CLIENT, "127.0.0.1:#{server.port}", scenario]
    command << certificate if server.url.start_with?("https")
    output, error, status = Open3.capture3({ "GRPC_VERBOSITY" => "ERROR" }, *command)
    assert status.success?, error
    JSON.parse(output)
  end

  # In both modes, with TLS and without.
  def self.test_calls(description, scenario, app: :example, &judge)
    test description do |mode|
      skip "there is no Python with grpc and protobuf: install python3-grpcio" unless PYTHON
      { lint: false, workers: 4, stream_body: ["application/grpc"] }.then do |options|
        [serve(send(app), mode, **options), serve_tls(send(app), mode, **options)].each do |server|
          instance_exec(server, -> { call(server, scenario) }, &judge)
          eventually("all calls have ended") { server.stats[:in_flight].zero? && server.stats[:queued].zero? }
        end
      end
    end
  end

  def broken
    Broken
  end

  test_calls "the four shapes of a call", "shapes" do |_, got|
    assert_equal({ "unary" => "eßürG", "empty" => "", "client" => ["einszweidrei", 3], "server" => ["x"] * 300,
                   "bidirectional" => %w[EINS ZWEI DREI], "status" => ["OK", ""] }, got.call)
  end

  test_calls "a response that ends before its request", "unused_requests" do |_, got|
    assert_equal({ "status" => ["INVALID_ARGUMENT", "a text is empty"], "next" => "cba" }, got.call)
  end

  test_calls "deadlines end calls at the client, and at the server", "deadlines" do |server, got|
    log = logged do
      result = got.call
      assert_equal %w[DEADLINE_EXCEEDED DEADLINE_EXCEEDED], [result["server"][0], result["client"][0]]
      assert_equal "cba", result["next"]
      eventually("the handlers have ended") { server.stats[:in_flight].zero? }
    end
    assert_match(%r{/example.Texts/Join was cancelled: Kino::BodyError}, log)
  end

  test_calls "a handler that reads sees that its call is cancelled", "cancel_read" do |server, got|
    log = logged do
      assert_equal({ "got" => ["A"], "status" => ["CANCELLED", "Locally cancelled by application!"], "next" => "cba" }, got.call)
      eventually("the handler has ended") { server.stats[:in_flight].zero? }
    end
    assert_match(%r{/example.Texts/Upcase was cancelled: Kino::BodyError}, log)
  end

  test_calls "a handler that writes sees that its call is cancelled", "cancel_write" do |server, got|
    log = logged do
      assert_equal({ "got" => %w[x x x], "status" => ["CANCELLED", "Locally cancelled by application!"], "next" => "cba" }, got.call)
      eventually("the handler has ended") { server.stats[:in_flight].zero? }
    end
    assert_match(%r{/example.Texts/Repeat was cancelled: Errno::EPIPE}, log)
  end

  test_calls "messages of 4 MB, and one beyond the limit", "large" do |_, got|
    result = got.call
    assert_equal ["RESOURCE_EXHAUSTED", "a message has 20971525 bytes"], result.delete("too_large")
    assert_equal({ "unary" => true, "client" => true, "bidirectional" => [true, true], "server" => [true, true, true] }, result)
  end

  test_calls "errors have a status and a message", "errors" do |_, got|
    assert_equal({ "message" => ["INVALID_ARGUMENT", "“100 % “é”\n” 2000 times: more than 1000"],
                   "unknown" => ["UNIMPLEMENTED", "no method /example.Texts/Unknown"],
                   "garbage" => ["INVALID_ARGUMENT", "the message is not a Text"],
                   "not_utf8" => ["INVALID_ARGUMENT", "the message is not a Text"],
                   "skipped" => "ba",
                   "later" => ["INVALID_ARGUMENT", "a text is empty"] }, got.call)
  end

  test_calls "an exception of the app is an error of the call", "broken", app: :broken do |_, got|
    log = logged do
      result = got.call
      assert_equal %w[UNKNOWN INTERNAL], [result["Raise"][0], result["RaiseLater"][0]]
    end
    assert_match(/it broke\b(?! later).*it broke later/m, log)
  end

  test_calls "metadata, both ways", "metadata" do |_, got|
    assert_equal({ "request-id" => "abc 1", "trace-bin" => true, "trailing" => "2" }, got.call)
  end

  test_calls "many calls at once on one connection", "many" do |_, got|
    assert_equal({ "unary" => true, "client" => true, "bidirectional" => "X", "rest" => 0 }, got.call)
  end

  test "what is not gRPC gets 415" do |mode|
    server = serve(example, mode, lint: false)
    Client.open(server.port) { |client| assert_equal 415, client.get("/example.Texts/Reverse").status }
  end
end
