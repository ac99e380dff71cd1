# frozen_string_literal: true

# A gRPC service in plain Rack 3, without a gem. It runs in Ractors: all that requests share is frozen.
#
#   kino --stream-body application/grpc grpc.ru
#
#   syntax = "proto3";
#   package example;
#   message Text {
#     string text = 1;
#     uint32 times = 2;  // for Repeat; 0: until the call ends
#   }
#   service Texts {
#     rpc Reverse(Text) returns (Text);               // unary
#     rpc Join(stream Text) returns (Text);           // client streaming
#     rpc Repeat(Text) returns (stream Text);         // server streaming
#     rpc Upcase(stream Text) returns (stream Text);  // bidirectional streaming
#   }
#
# A gRPC call is a request of HTTP/2. Its path names the method; its body, and that of the response, are messages, each
# behind five bytes: a flag, which says whether it is compressed, and its length. How the call ended is known last and
# therefore in the trailers: grpc-status, and grpc-message. Other fields are the call's metadata; those whose name ends
# in -bin are in base64.

module GRPC
  # The codes that this file uses.
  OK = 0
  CANCELLED = 1
  INVALID_ARGUMENT = 3
  DEADLINE_EXCEEDED = 4
  RESOURCE_EXHAUSTED = 8
  UNIMPLEMENTED = 12

  HEADERS = { "content-type" => "application/grpc", "grpc-accept-encoding" => "identity" }.freeze
  LARGEST_MESSAGE = 16 * 1024 * 1024
  SECONDS = { "H" => 3600, "M" => 60, "S" => 1, "m" => 1e-3, "u" => 1e-6, "n" => 1e-9 }.freeze

  # Ends a call with a status other than OK.
  class Failure < StandardError
    attr_reader :code

    def initialize(code, message)
      super(message)
      @code = code
    end
  end

  # The fields that say how a call ended. A message may have any character; a field may not.
  def self.status(code, message = "")
    fields = { "grpc-status" => code.to_s }
    escaped = message.b.gsub(/[^ -$&-~]/n) { |byte| format("%%%02X", byte.ord) }
    fields["grpc-message"] = escaped unless escaped.empty?
    fields
  end

  # One call. It is the body of its response: the server calls it with the stream to write to, and the method then
  # reads messages of the request and writes messages of the response in any order.
  class Call
    # Metadata that follows the response's messages.
    attr_reader :trailing

    def initialize(env, service, method)
      @env = env
      @input = env["rack.input"]
      @service = service
      @method = method
      @deadline = deadline
      @trailing = {}
    end

    # A field of the request's metadata, or nil.
    def metadata(name)
      value = @env["HTTP_#{name.upcase.tr("-", "_")}"]
      value && name.end_with?("-bin") ? value.unpack1("m") : value
    end

    # The bytes of the next message, or nil after the last one. Waits for the client.
    def read
      in_time
      prefix = @input.read(5)
      return unless prefix

      compressed, length = prefix.unpack("CN")
      raise Failure.new(INVALID_ARGUMENT, "the request ends within a message") unless length
      raise Failure.new(UNIMPLEMENTED, "a message is compressed") unless compressed.zero?
      raise Failure.new(RESOURCE_EXHAUSTED, "a message has #{length} bytes") if length > LARGEST_MESSAGE

      bytes = @input.read(length) || ""
      raise Failure.new(INVALID_ARGUMENT, "the request ends within a message") if bytes.bytesize < length

      bytes
    end

    # Sends a message; waits while the client does not keep up. The server puts small messages together, and sends them at
    # the latest when the method waits for something.
    def write(bytes)
      in_time
      @stream.write([0, bytes.bytesize].pack("CN") << bytes)
    end

    # Sends the metadata before the first message, for clients that await it.
    def flush
      @stream.flush
    end

    # The server calls it once.
    def call(stream)
      @stream = stream
      @service.public_send(@method, self)
      @status = GRPC.status(OK)
    rescue Failure => e
      @status = GRPC.status(e.code, e.message)
    rescue Kino::BodyError => e # from read: the rest of the request will not come
      cancelled(e) if e.status == 400
      @status = GRPC.status(e.status == 413 ? RESOURCE_EXHAUSTED : CANCELLED, e.message)
    rescue Errno::EPIPE => e # from write: the client has gone, or has given this call up
      cancelled(e)
      raise
    end

    # The server calls it afterwards. An exception that #call does not rescue is logged, and resets the stream.
    def trailers
      @trailing.merge(@status)
    end

    private

    def deadline
      amount, unit = @env["HTTP_GRPC_TIMEOUT"].to_s.match(/\A(\d{1,8})([HMSmun])\z/)&.captures
      Process.clock_gettime(Process::CLOCK_MONOTONIC) + amount.to_i * SECONDS[unit] if unit
    end

    # The client gives up at the same time. This is for methods that compute or wait for long.
    def in_time
      return unless @deadline && Process.clock_gettime(Process::CLOCK_MONOTONIC) > @deadline

      raise Failure.new(DEADLINE_EXCEEDED, "the deadline has passed")
    end

    def cancelled(error)
      @env["rack.errors"].puts("#{@env["PATH_INFO"]} was cancelled: #{error.class}")
    end
  end
end

# The message, and as much of protobuf as it needs: a field is a number, which says its id and its wire type, and a value.
class Text
  VARINT = 0
  FIXED = { 1 => 8, 5 => 4 }.freeze
  LENGTH_DELIMITED = 2

  attr_reader :text, :times

  def initialize(text, times = 0)
    @text = text
    @times = times
  end

  # Fields with the default value are left out.
  def encode
    bytes = "".b
    append(bytes, 1 << 3 | LENGTH_DELIMITED, @text.bytesize) << @text.b unless @text.empty?
    append(bytes, 2 << 3 | VARINT, @times) unless @times.zero?
    bytes
  end

  def self.decode(bytes)
    text = ""
    times = at = 0
    while at < bytes.bytesize
      key, at = varint(bytes, at)
      value, at = value(bytes, at, key & 7)
      text = value if key == (1 << 3 | LENGTH_DELIMITED)
      times = value if key == (2 << 3 | VARINT)
    end
    text = text.dup.force_encoding(Encoding::UTF_8)
    text.valid_encoding? ? new(text, times & 0xffff_ffff) : invalid
  end

  # The value that begins at `at`, and where it ends.
  def self.value(bytes, at, wire_type)
    return varint(bytes, at) if wire_type == VARINT

    length = FIXED[wire_type]
    length, at = varint(bytes, at) if wire_type == LENGTH_DELIMITED
    invalid if length.nil? || length > bytes.bytesize - at

    [bytes.byteslice(at, length), at + length]
  end

  # Seven bits in each byte, the lowest first; the eighth says that another byte follows.
  def self.varint(bytes, at)
    value = 0
    10.times do |index|
      byte = bytes.getbyte(at + index) || invalid
      value |= (byte & 0x7f) << (7 * index)
      return [value, at + index + 1] if byte < 0x80
    end
    invalid
  end

  def self.invalid
    raise GRPC::Failure.new(GRPC::INVALID_ARGUMENT, "the message is not a Text")
  end
  private_class_method :value, :varint, :invalid

  private

  def append(bytes, *numbers)
    numbers.each do |number|
      bytes << (number & 0x7f | 0x80) && number >>= 7 while number > 0x7f
      bytes << number
    end
    bytes
  end
end

# The service, which is also the Rack application.
module Texts
  METHODS = { "/example.Texts/Reverse" => :reverse, "/example.Texts/Join" => :join, "/example.Texts/Repeat" => :repeat,
              "/example.Texts/Upcase" => :upcase }.freeze
  MOST = 1000

  def self.call(env)
    return [415, {}, []] unless env["CONTENT_TYPE"].to_s.start_with?("application/grpc")

    method = METHODS[env["PATH_INFO"]]
    unless method # The status is known first: there are no messages, and all fields are in the header.
      return [200, GRPC::HEADERS.merge(GRPC.status(GRPC::UNIMPLEMENTED, "no method #{env["PATH_INFO"]}")), []]
    end

    call = GRPC::Call.new(env, self, method)
    [200, GRPC::HEADERS.merge(returned(call)), call]
  end

  # A caller finds what it has said of itself in the response's metadata.
  def self.returned(call)
    { "request-id" => call.metadata("request-id"), "trace-bin" => [call.metadata("trace-bin").to_s].pack("m0") }.compact
  end

  def self.reverse(call)
    call.write(Text.new(Text.decode(call.read || "").text.reverse).encode)
  end

  def self.join(call)
    texts = []
    while (bytes = call.read)
      texts << Text.decode(bytes).text
    end
    call.trailing["texts"] = texts.size.to_s
    call.write(Text.new(texts.join, texts.size).encode)
  end

  def self.repeat(call)
    asked = Text.decode(call.read || "")
    if asked.times > MOST
      raise GRPC::Failure.new(GRPC::INVALID_ARGUMENT, "“#{asked.text}” #{asked.times} times: more than #{MOST}")
    end

    bytes = Text.new(asked.text).encode
    return asked.times.times { call.write(bytes) } if asked.times.positive?

    loop { call.write(bytes) }
  end

  def self.upcase(call)
    call.flush
    while (bytes = call.read)
      text = Text.decode(bytes).text
      raise GRPC::Failure.new(GRPC::INVALID_ARGUMENT, "a text is empty") if text.empty?

      call.write(Text.new(text.upcase).encode)
    end
  end
end

run Texts
