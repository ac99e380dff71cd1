# frozen_string_literal: true

# The method Reverse of samples/server/examples/grpc.ru by async-grpc, in Falcon as `falcon host` starts it. Texts have fewer than
# 128 bytes. Arguments: the port and the number of processes.

require "async/grpc"
require "async/service"
require "falcon/environment/server"

# A message that stays bytes.
Bytes = Struct.new(:to_proto) do
  def self.decode(bytes) = new(bytes)
end

class TextsInterface < Protocol::GRPC::Interface
  rpc :Reverse, Bytes, Bytes
end

class Texts < Async::GRPC::Service
  def reverse(input, output, _call)
    bytes = input.read.to_proto
    text = bytes.byteslice(2..).force_encoding(Encoding::UTF_8)
    output.write(Bytes.new(bytes.byteslice(0, 2) << text.reverse.b))
  end
end

configuration = Async::Service::Configuration.build do
  service "texts" do
    include Falcon::Environment::Server

    url { "http://127.0.0.1:#{ARGV.fetch(0)}" }
    count { Integer(ARGV.fetch(1)) }
    middleware { Async::GRPC::Dispatcher.new.tap { |dispatcher| dispatcher.register(Texts.new(TextsInterface, "example.Texts")) } }
  end
end
Async::Service::Controller.run(configuration)
