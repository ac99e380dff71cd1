# frozen_string_literal: true

require_relative "client"

# A client that keeps its connection while its server stops. Such a server ends, in order, a connection on which nothing has arrived
# for a second. A machine that is busy may let a client be that late; HTTP lets it then repeat its request (RFC 9112, 9.3.1).
class KeptClient < Client
  SILENCE_SECONDS = 1

  # As Client#get; nil if the connection has ended after a silence, without a byte.
  def get(path, **rest)
    now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    late = @sent_at && now - @sent_at >= SILENCE_SECONDS # since the last request, and so since its response
    @sent_at = now
    super
  rescue EOFError, Errno::ECONNRESET, Errno::EPIPE
    raise unless late && @buffer.empty?
  end
end
