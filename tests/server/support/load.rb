# frozen_string_literal: true

require_relative "client"

# A closed-loop load client: a number of keep-alive connections, each with one outstanding request, driven
# by one Thread with IO.select. It stops after a number of requests or at a deadline, whichever is given,
# and checks every response: it counts statuses, parses the framing and compares bodies.
class Load
  Result = Struct.new(:statuses, :errors, :seconds)

  Connection = Struct.new(:socket, :buffer, :request)

  # The load has failed if no response arrives for so many seconds.
  STALL = 30

  def initialize(port, connections:, path: "/", requests: nil, seconds: nil, body: nil)
    @port = port
    @count = connections
    @path = path.respond_to?(:call) ? path : ->(_) { path }
    @requests = requests || Float::INFINITY
    @seconds = seconds || Float::INFINITY
    @body = body
    @sent = 0
    @statuses = Hash.new(0)
    @errors = []
    @open = {}
  end

  def run
    @started = now
    @count.times { connect }
    pump until @open.empty?
    Result.new(@statuses.sort.to_h, @errors, now - @started)
  end

  private

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  def more?
    @sent < @requests && now - @started < @seconds && @errors.size < 20
  end

  def connect
    return unless more?

    connection = Connection.new(TCPSocket.new("127.0.0.1", @port), String.new(encoding: Encoding::BINARY))
    @open[connection.socket] = connection
    request(connection)
  end

  def request(connection)
    unless more?
      @open.delete(connection.socket)
      connection.socket.close
      return
    end
    connection.request = @path.call(@sent)
    @sent += 1
    connection.socket.write("GET #{connection.request} HTTP/1.1\r\nHost: x\r\n\r\n")
  rescue SystemCallError => e
    broken(connection, e.message)
  end

  def pump
    ready, = IO.select(@open.keys, nil, nil, STALL)
    unless ready
      @errors << "no response for #{STALL} s to #{@open.values.map(&:request).first(3).inspect}"
      @open.each_key(&:close)
      @open.clear
      return
    end
    ready.each { |socket| receive(@open[socket]) }
  end

  def receive(connection)
    got = connection.socket.read_nonblock(65_536, exception: false)
    return if got == :wait_readable
    return broken(connection, "closed before the response to #{connection.request}") unless got

    connection.buffer << got
    finish_response(connection)
  rescue SystemCallError => e
    broken(connection, e.message)
  end

  def finish_response(connection)
    buffer = connection.buffer
    stop = buffer.index("\r\n\r\n") or return
    head = buffer.byteslice(0, stop)
    length = head[/^content-length: (\d+)\r?$/i, 1] or return broken(connection, "no content-length in #{head.inspect}")
    finish = stop + 4 + length.to_i
    return if buffer.bytesize < finish

    status = head[%r{\AHTTP/1\.1 (\d{3}) }, 1].to_i
    body = buffer.byteslice(stop + 4, length.to_i)
    @errors << "a wrong body: #{body[0, 80].inspect}" if @body && status == 200 && body != @body
    return broken(connection, "bytes after the response: #{buffer.byteslice(finish, 80).inspect}") if buffer.bytesize > finish

    buffer.clear
    @statuses[status] += 1
    head.match?(/^connection: close\r?$/i) ? reconnect(connection) : request(connection)
  end

  def reconnect(connection)
    @open.delete(connection.socket)
    connection.socket.close
    connect
  end

  def broken(connection, why)
    @errors << why
    reconnect(connection)
  end
end
