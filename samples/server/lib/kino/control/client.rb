# frozen_string_literal: true

require "net/http"
require "socket"

require_relative "../errors"

module Kino
  # Asks the control plane of a server.
  class ControlClient
    # The control plane answers within a second or two, whatever its server does.
    PATIENCE_SECONDS = 10

    # Raised with a sentence if there is no answer.
    class Unreachable < Error; end

    # +token+: a String; empty for none.
    def initialize(address, token)
      @address = address
      @token = token
    end

    def get(path) = ask_with("GET", path, {})

    def post(path) = ask_with("POST", path, {})

    # +method+: "GET" or "POST"; +more+: header fields.
    def ask_with(method, path, more)
      return ask(Net::HTTP::Get.new(path, headers.merge(more))) if method == "GET"

      ask(Net::HTTP::Post.new(path, headers.merge("Content-Type" => "text/plain", **more)).tap { |request| request.body = "" })
    end

    private

    def headers
      fields = { "Host" => @address.unix? ? "localhost" : @address.url.delete_prefix("http://"), "Connection" => "close",
                 "Accept-Encoding" => "identity", "User-Agent" => "kino ctl" }
      @token.empty? ? fields : fields.merge("Authorization" => "Bearer #{@token}")
    end

    # Net::HTTP itself knows no Unix sockets.
    def ask(request)
      socket = connect
      io = Net::BufferedIO.new(socket, read_timeout: PATIENCE_SECONDS, write_timeout: PATIENCE_SECONDS)
      send_all(request, io)
      response = Net::HTTPResponse.read_new(io)
      response.reading_body(io, true) { response.body }
      raise EOFError, "its answer ends too soon" if (response.content_length || 0) > response.body.to_s.bytesize

      response
    rescue SystemCallError, SocketError, IOError, Timeout::Error, Net::ProtocolError, Net::HTTPBadResponse, Net::HTTPHeaderSyntaxError => e
      raise Unreachable, "no control plane answers at #{@address.url} (#{e.message.sub(/ - .*| @ .*/, "")}); " \
                         "is the server running, with this control_bind?"
    ensure
      socket&.close
    end

    # A server that has answered may have closed before the body, an empty one, is written.
    def send_all(request, io)
      request.exec(io, "1.1", request.path)
    rescue Errno::EPIPE
      nil # its answer can be read
    end

    def connect
      return UNIXSocket.new(@address.path.sub(/\A@/, "\0")) if @address.unix?

      Socket.tcp(@address.host, @address.port, connect_timeout: PATIENCE_SECONDS)
    rescue ArgumentError => e # the name is longer than any
      raise SocketError, e.message
    end
  end
end
