# frozen_string_literal: true

# The method Reverse of samples/server/examples/grpc.ru by the server of the gem grpc. Texts have fewer than 128 bytes.

require "grpc"

# A message that stays bytes.
Bytes = Struct.new(:bytes) do
  def self.encode(message) = message.bytes
  def self.decode(bytes) = new(bytes)
end

class Texts
  include GRPC::GenericService

  self.marshal_class_method = :encode
  self.unmarshal_class_method = :decode
  self.service_name = "example.Texts"

  rpc :Reverse, Bytes, Bytes

  def reverse(request, _call)
    text = request.bytes.byteslice(2..).force_encoding(Encoding::UTF_8)
    Bytes.new(request.bytes.byteslice(0, 2) << text.reverse.b)
  end
end

server = GRPC::RpcServer.new(pool_size: 30)
server.add_http2_port("127.0.0.1:#{ARGV.fetch(0)}", :this_port_is_insecure)
server.handle(Texts.new)
server.run_till_terminated
