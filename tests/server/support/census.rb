# frozen_string_literal: true

require "socket"
require_relative "kept_client"

# Clients of a server that ends: each sends one request after the other, half of them on connections that they keep, and all of
# them count what becomes of their requests. One Thread drives them all, so none of its calls waits: a server that stops may let
# a connection wait a second for its refusal, and ends connections that were silent for a second.
#
# A request has an answer, complete; or it was
#
# * refused: there was no connection to send it on,
# * cut: its answer has begun and not ended,
# * lost: its connection was new, and ended without a byte,
# * dropped: its connection had been kept after an earlier answer that did not announce its end, and ended without a byte. HTTP lets
#   a client repeat such a request (RFC 9112, 9.3.1), because the server may not have seen it. A server that stops ends only
#   connections that were silent for a second; a request that this process sends so late, because the machine is busy, does not count.
class Census
  Connection = Struct.new(:socket, :keeps, :answers, :buffer, :sent_at, :late)

  # No event for so many seconds: the server hangs.
  STALL = 30
  REFUSED = [Errno::ECONNREFUSED, Errno::ENOENT].freeze
  ENDED = [EOFError, Errno::ECONNRESET, Errno::EPIPE].freeze

  attr_reader :answered, :cut, :lost, :dropped, :statuses

  # +address+ is an Addrinfo of the server; +path+ is asked for.
  def initialize(address, connections:, path:)
    @address = address
    @path = path
    @answered = @cut = @lost = @dropped = 0
    @statuses = Hash.new(0)
    @open = {}
    @connecting = {}
    connections.times { |i| open(i.even?) }
  end

  # Sends requests until the block is true, or until every connection was refused. The answers to what has been sent come with
  # the next call.
  def run
    until over? || yield
      move_on
    end
    self
  end

  # Sends no more requests, and waits for the answers to the others.
  def finish
    @finished = true
    move_on until over?
    self
  end

  # What must not happen.
  def losses
    { cut: @cut, lost: @lost, dropped: @dropped }.reject { |_, count| count.zero? }
  end

  private

  def over? = @open.empty? && @connecting.empty?

  def move_on
    readable, writable = IO.select(@open.keys, @connecting.keys, nil, STALL)
    raise "no answer for #{STALL} s" unless readable

    writable.each { |socket| connected(@connecting.delete(socket)) }
    readable.each { |socket| receive(@open[socket]) }
  end

  def open(keeps)
    connection = Connection.new(Socket.new(@address.afamily, :STREAM), keeps, 0, +"")
    if @address.unix? # A call that does not wait would fail when the queue is full.
      connection.socket.connect(@address)
      return send_on(connection)
    end
    connection.socket.connect_nonblock(@address, exception: false)
    @connecting[connection.socket] = connection
  rescue *REFUSED
    connection.socket.close
  end

  def connected(connection)
    failed = connection.socket.getsockopt(:SOCKET, :ERROR).int != 0
    return connection.socket.close if failed || @finished

    send_on(connection)
  end

  def send_on(connection)
    @open[connection.socket] = connection
    now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    connection.late = connection.sent_at && now - connection.sent_at >= KeptClient::SILENCE_SECONDS
    connection.sent_at = now
    connection.socket.write("GET #{@path} HTTP/1.1\r\nHost: census\r\n#{"Connection: close\r\n" unless connection.keeps}\r\n")
  rescue *ENDED
    # The answer, or the reset, is read.
  end

  def receive(connection)
    connection.buffer << connection.socket.readpartial(65_536)
    answer(connection) if complete?(connection.buffer)
  rescue *ENDED
    failed(connection)
  end

  def complete?(bytes)
    head = bytes.index("\r\n\r\n") or return false
    bytes.bytesize == head + 4 + bytes[/^content-length: (\d+)/i, 1].to_i
  end

  def answer(connection)
    @answered += 1
    @statuses[connection.buffer[/\AHTTP\/1\.1 (\d+)/, 1].to_i] += 1
    ends = connection.buffer.match?(/^connection: close\r$/i)
    connection.answers += 1
    connection.buffer.clear
    ends || @finished ? replace(connection) : send_on(connection)
  end

  def failed(connection)
    if !connection.buffer.empty? then @cut += 1
    elsif connection.answers.zero? then @lost += 1
    elsif !connection.late then @dropped += 1
    end
    replace(connection)
  end

  def replace(connection)
    @open.delete(connection.socket)
    connection.socket.close
    open(connection.keeps) unless @finished
  end
end
