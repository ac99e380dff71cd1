# frozen_string_literal: true

require "socket"

module Bench
  # Checks whether a server streams: a chunk must reach the client before the next one is produced. A server that
  # collects the body first avoids the work that /stream measures.
  module Streaming
    PATH = "/drip"

    # A note if the server does not stream.
    def self.note(port, pause: 0.3)
      began = first = nil
      TCPSocket.open("127.0.0.1", port) do |socket|
        socket.write("GET #{PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
        began = now
        text = +""
        while socket.wait_readable(10) && (bytes = socket.read_nonblock(4096, exception: false))
          text << bytes if bytes.is_a?(String)
          first ||= now if text.include?("drip")
          break if text.include?("drop")
        end
      end
      "collects: nothing of a body is sent before it is complete" unless first && first < began + pause
    rescue SystemCallError => e
      "the check for streaming failed: #{e.message}"
    end

    def self.now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
