# frozen_string_literal: true

require "zlib"

require_relative "client"

# A minimal client of WebSockets: it sends the given frames unchanged and is strict in what it accepts.
class WebSocketClient
  KEY = "dGhlIHNhbXBsZSBub25jZQ=="
  ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
  HEADERS = { "Connection" => "Upgrade", "Upgrade" => "websocket", "Sec-WebSocket-Version" => "13", "Sec-WebSocket-Key" => KEY }.freeze
  TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

  # The end of a compressed message, which is not sent (RFC 7692, 7.2.1).
  MESSAGE_END = "\x00\x00\xff\xff".b

  # +kind+ is an opcode; #status that of a close frame; #size the number of bytes in which its data was sent.
  Frame = Struct.new(:kind, :data) do
    attr_accessor :size

    def status
      data.empty? ? 1005 : data.unpack1("n")
    end
  end

  attr_reader :response, :http

  def self.open(*arguments, **options)
    client = new(*arguments, **options)
    return client unless block_given?

    begin
      yield client
    ensure
      client.close
    end
  end

  # Connects, and does the handshake; #response is that of the server. +compression+ is what to offer.
  def initialize(port, path = "/", headers: {}, host: "127.0.0.1", compression: nil)
    @http = Client.new(port, host)
    headers = { "Sec-WebSocket-Extensions" => compression, **headers }
    @http.send_request("GET", path, headers: HEADERS.merge(headers).compact)
    @response = @http.read_head
    return unless open?
    raise Client::Malformed, "sec-websocket-accept #{@response["sec-websocket-accept"]}" unless @response["sec-websocket-accept"] == ACCEPT
    raise Client::Malformed, "upgrade #{@response["upgrade"]}" unless @response["upgrade"]&.casecmp?("websocket")
  end

  def open?
    @response.status == 101
  end

  # Whether the server has accepted compression.
  def compression?
    @response["sec-websocket-extensions"]&.start_with?("permessage-deflate") || false
  end

  def self.frame(kind, data = "", last: true, mask: "\x12\x34\xff\x00".b, compressed: false)
    data = compressed ? compress(data) : data.b
    length = data.bytesize
    head = [(last ? 0x80 : 0) | (compressed ? 0x40 : 0) | kind].pack("C")
    head << (if length < 126 then [0x80 | length].pack("C")
             elsif length < 65_536 then [0x80 | 126, length].pack("Cn")
             else [0x80 | 127, length].pack("CQ>")
             end)
    masks = (mask * (length / 4 + 1)).byteslice(0, length)
    head << mask << data.bytes.zip(masks.bytes).map { |byte, key| byte ^ key }.pack("C*")
  end

  def self.compress(data)
    Zlib::Deflate.new(Zlib::BEST_COMPRESSION, -Zlib::MAX_WBITS).deflate(data, Zlib::SYNC_FLUSH).delete_suffix(MESSAGE_END)
  end

  def send_frame(...)
    @http.send_raw(self.class.frame(...))
    self
  end

  def send_text(data, **how)
    send_frame(TEXT, data, **how)
  end

  def send_close(status = 1000)
    send_frame(CLOSE, [status].pack("n"))
  end

  # The next frame; pings are answered, and not returned.
  def read_frame
    first, second = @http.read_exactly(2).unpack("CC")
    compressed = first & 0x40 != 0
    valid = first & 0xb0 == 0x80 && second < 128 && (!compressed || (compression? && first & 0xf < CLOSE))
    raise Client::Malformed, "frame #{first.to_s(16)} #{second.to_s(16)}" unless valid

    length = case second
             when 126 then @http.read_exactly(2).unpack1("n")
             when 127 then @http.read_exactly(8).unpack1("Q>")
             else second
             end
    data = @http.read_exactly(length)
    data = Zlib::Inflate.new(-Zlib::MAX_WBITS).inflate(data + MESSAGE_END) if compressed
    Frame.new(first & 0xf, data).tap { |frame| frame.size = length }
  end

  # The data of the next message.
  def read
    frame = read_frame
    case frame.kind
    when TEXT then frame.data.force_encoding(Encoding::UTF_8)
    when BINARY then frame.data
    when PING
      send_frame(PONG, frame.data)
      read
    else raise Client::Malformed, "a frame of kind #{frame.kind} with #{frame.data.inspect}"
    end
  end

  # The status with which the server closes. Messages before are skipped.
  def read_close
    loop do
      frame = read_frame
      return frame.status if frame.kind == CLOSE
    end
  end

  def ended?
    @http.closed_by_server?
  end

  def close
    @http.close
  end
end
