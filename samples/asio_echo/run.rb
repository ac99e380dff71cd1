# frozen_string_literal: true

require "asio_echo"
require "socket"

module Shout
  def self.call(line)
    case line
    when "divide" then (1 / 0).to_s
    when "crash" then raise NotImplementedError # not a StandardError: ends this worker
    else "#{line.upcase}!"
    end
  end
end

AsioEcho.open(Shout, workers: 2) do |port|
  conversations = [%w[hello asio], %w[divide and go on], %w[crash the other worker answers]].map do |lines|
    Thread.new do
      client = TCPSocket.new("127.0.0.1", port)
      answers = lines.map do |line|
        client.puts(line)
        "#{line} -> #{client.gets(chomp: true)}"
      end
      client.close
      answers
    end
  end
  conversations.each { |conversation| puts conversation.value, "" }
end
puts "the Asio thread and the Ractors have finished"
