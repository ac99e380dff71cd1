# frozen_string_literal: true

require "socket"

# A minimal HTTP/1.1 client for one connection: it sends the given bytes unchanged and is strict in what it accepts.
# Every wait has a deadline; missing it raises TooSlow.
class Client
  class Malformed < StandardError; end
  class TooSlow < StandardError; end

  # +headers+ keeps every field in order, names in lower case; #[] joins the values of a repeated field. +trailers+ likewise.
  Response = Struct.new(:status, :headers, :body, :version, :complete, :trailers) do
    def [](name)
      values = all(name)
      values.empty? ? nil : values.join(", ")
    end

    def all(name)
      headers.filter_map { |field, value| value if field == name }
    end

    def closes?
      (self["connection"] || "").downcase.include?("close")
    end
  end

  WAIT = 20
  CHUNK = 64 << 10

  attr_reader :socket

  # Whether trailers are accepted behind a body: the client must have asked for them.
  attr_accessor :takes_trailers

  def self.open(*arguments, **options)
    client = new(*arguments, **options)
    return client unless block_given?

    begin
      yield client
    ensure
      client.close
    end
  end

  def initialize(port, host = "127.0.0.1")
    @socket = port.is_a?(String) ? UNIXSocket.new(port) : TCPSocket.new(host, port)
    @socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1) unless port.is_a?(String)
    @buffer = String.new(encoding: Encoding::BINARY)
  end

  # Sends +bytes+ as they are.
  def send_raw(bytes)
    bytes = bytes.b
    until bytes.empty?
      sent = @socket.write_nonblock(bytes, exception: false)
      if sent == :wait_writable
        IO.select(nil, [@socket], nil, WAIT) or raise TooSlow, "the server accepts no more bytes"
      else
        bytes = bytes.byteslice(sent..)
      end
    end
    self
  end

  # Sends one request; a String body gets its length, an Array of Strings goes out chunked.
  def send_request(method, path, headers: {}, body: nil, version: "HTTP/1.1")
    head = +"#{method} #{path} #{version}\r\n"
    head << "Host: test.example\r\n" unless headers.key?("Host") || version == "HTTP/1.0"
    headers.each { |name, value| Array(value).each { |one| head << "#{name}: #{one}\r\n" } }
    head << "Content-Length: #{body.bytesize}\r\n" if body.is_a?(String)
    head << "Transfer-Encoding: chunked\r\n" if body.is_a?(Array)
    send_raw("#{head}\r\n")
    send_raw(body) if body.is_a?(String)
    if body.is_a?(Array)
      body.each { |chunk| send_chunk(chunk) }
      send_raw("0\r\n\r\n")
    end
    self
  end

  def send_chunk(bytes)
    send_raw("#{bytes.bytesize.to_s(16)}\r\n".b << bytes.b << "\r\n")
  end

  def request(method, path, **rest)
    send_request(method, path, **rest)
    read_response(method)
  end

  def get(path, **rest)
    request("GET", path, **rest)
  end

  # Reads one response; complete is false if the connection ended within the body.
  def read_response(method = "GET")
    response = read_head
    response = read_body(response, method)
    response
  end

  def read_head
    status_line = read_line
    match = status_line.match(%r{\A(HTTP/1\.[01]) (\d{3}) [^\r\n]*\z}) or raise Malformed, "status line #{status_line.inspect}"
    Response.new(match[2].to_i, read_fields, +"", match[1], true, [])
  end

  # Fields up to an empty line.
  def read_fields
    fields = []
    until (line = read_line).empty?
      field = line.match(/\A([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?([^\r\n]*)\z/) or raise Malformed, "header line #{line.inspect}"
      fields << [field[1].downcase, field[2]]
    end
    fields
  end

  # Reads until the server closes the connection.
  def read_to_end
    loop { fill or break }
    @buffer.slice!(0..)
  end

  # Waits for the server: true if it closes the connection, false if it sends anything else.
  def closed_by_server?
    raise Malformed, "unexpected bytes #{@buffer.inspect}" unless @buffer.empty?

    !fill
  rescue Errno::ECONNRESET
    true
  end

  def read_exactly(count)
    fill or raise EOFError, "closed with #{count - @buffer.bytesize} bytes missing" while @buffer.bytesize < count
    @buffer.slice!(0, count)
  end

  def read_line
    until (stop = @buffer.index("\r\n"))
      raise Malformed, "a line feed without carriage return in #{@buffer.inspect}" if @buffer.include?("\n")

      fill or raise EOFError, "closed within a line: #{@buffer.inspect}"
    end
    @buffer.slice!(0, stop + 2).chomp
  end

  # One chunk of a chunked body; nil for the last, whose trailers are added to +trailers+.
  def read_chunk(trailers = [])
    line = read_line
    raise Malformed, "chunk size #{line.inspect}" unless line.match?(/\A[0-9a-fA-F]+\z/)

    size = line.hex
    if size.zero?
      trailers.concat(read_fields)
      raise Malformed, "trailers #{trailers}" unless trailers.empty? || takes_trailers

      return
    end
    chunk = read_exactly(size)
    raise Malformed, "chunk not ended by CRLF" unless read_exactly(2) == "\r\n"

    chunk
  end

  # Closes the connection with a reset instead of an orderly end.
  def reset
    @socket.setsockopt(Socket::SOL_SOCKET, Socket::SO_LINGER, [1, 0].pack("ii"))
    @socket.close
  end

  def close_write
    @socket.close_write
  end

  def close
    @socket.close unless @socket.closed?
  end

  private

  def read_body(response, method)
    return response if method == "HEAD" || [204, 304].include?(response.status) || response.status < 200

    if response["transfer-encoding"] == "chunked"
      raise Malformed, "content-length beside chunked" if response["content-length"]

      while (chunk = read_chunk(response.trailers))
        response.body << chunk
      end
    elsif (length = response["content-length"])
      raise Malformed, "content-length #{length.inspect}" unless length.match?(/\A\d+\z/)

      response.body << read_exactly(length.to_i)
    elsif response.closes? || response.version == "HTTP/1.0"
      response.body << read_to_end
    else
      raise Malformed, "a body of unknown length on a connection that stays open"
    end
    response
  rescue EOFError, Errno::ECONNRESET
    response.complete = false
    response
  end

  # Reads the available bytes, waiting for the first; false at the end of the connection.
  def fill
    loop do
      got = @socket.read_nonblock(CHUNK, exception: false)
      case got
      when nil then return false
      when :wait_readable
        IO.select([@socket], nil, nil, WAIT) or raise TooSlow, "the server sent nothing for #{WAIT} s"
      else
        @buffer << got
        return true
      end
    end
  end
end
