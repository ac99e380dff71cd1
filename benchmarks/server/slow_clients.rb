# frozen_string_literal: true

# What slow clients cost the other clients of a running server on this machine:
#
#     samples/server/run -p 9292 --max-keep-alive 1m --min-body-rate 0 tests/server/support/slow_clients.ru
#     ruby benchmarks/server/slow_clients.rb 9292 PID [clients] [uploads|readers]
#
# uploads: so many clients have sent 65,000 bytes of a body; then, at once, each sends 5,000 more, which the server no longer
# keeps in memory; then each sends one byte every two seconds. readers: so many clients ask, at once, for a streamed
# response of 1.3 MB, and then each reads 1 KB of it every two seconds.
#
# Prints the latency of another client, whose requests are due every millisecond whether answered or not: before, during
# the burst, and while the clients are slow; and the CPU time of the server's I/O threads for the burst, which other load on
# the machine changes less.

require "io/wait"
require "socket"

port, pid, count, kind = ARGV
count = (count || 1000).to_i
kind ||= "uploads"
abort "usage: ruby slow_clients.rb PORT PID [clients] [uploads|readers]" unless pid && %w[uploads readers].include?(kind)
port = port.to_i

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

def io_threads(pid)
  Dir["/proc/#{pid}/task/*"].select { |task| File.read("#{task}/comm").start_with?("kino I/O") }
end

# Seconds of CPU time.
def cpu(threads) = threads.sum { |task| File.read("#{task}/schedstat").to_i } / 1e9

ready_reader, ready = IO.pipe
go, go_writer = IO.pipe
clients = fork do
  go_writer.close
  sockets = Array.new(count) do
    socket = Socket.new(:INET, :STREAM)
    # The kernel must not take for the client what it has not read.
    socket.setsockopt(:SOCKET, :RCVBUF, 4096) if kind == "readers"
    socket.connect(Addrinfo.tcp("127.0.0.1", port))
    socket
  end
  begin_upload = "POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 80000\r\n\r\n#{"x" * 65_000}"
  sockets.each { |each| each.write(begin_upload) } if kind == "uploads"
  sleep 2 # the server takes in what it has got
  ready.write("r")
  go.read(1)
  more = kind == "uploads" ? "y" * 5000 : "GET /streamed HTTP/1.1\r\nHost: x\r\n\r\n"
  sockets.each { |each| each.write(more) }
  step = 2.0 / count
  due = now
  until go.wait_readable(0)
    sockets.each do |each|
      due += step
      wait = due - now
      break if go.wait_readable([wait, 0].max)
      kind == "uploads" ? each.write("z") : each.read_nonblock(1024, exception: false)
    end
  end
  exit!(0)
end

begin
  probe = TCPSocket.new("127.0.0.1", port)
  probe.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
  ask = lambda do
    probe.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    probe.readpartial(4096)
  end
  measure = lambda do |seconds|
    start = now
    (0...(seconds * 1000)).map do |i|
      due = start + i / 1000.0
      wait = due - now
      sleep(wait) if wait.positive?
      ask.call if now < start + seconds
      now - due # of those that were not asked, too
    end.sort
  end
  100.times { ask.call }
  threads = io_threads(pid)
  ready_reader.read(1)
  alone_from = cpu(threads)
  alone = measure.call(2)
  from = cpu(threads)
  go_writer.write("g")
  beside = measure.call(2)
  used = cpu(threads) - from - (from - alone_from)
  # The server may not have come to all of them yet.
  tries = 8
  loop do
    before = cpu(threads)
    sleep 0.5
    more = cpu(threads) - before
    used += more
    break if more < 0.002 || (tries -= 1).zero? # slow clients cost something, too
  end
  show = ->(all) { format("p50 %.2f p99 %.1f longest %.1f ms", all[all.size / 2] * 1e3, all[all.size * 99 / 100] * 1e3, all.last * 1e3) }
  slow = measure.call(5)
  puts "#{count} #{kind}: alone #{show.call(alone)} | burst #{show.call(beside)} | slow #{show.call(slow)} | " \
       "I/O threads #{(used * 1e3).round} ms of CPU for the burst"
ensure
  go_writer.write("e") # it ends, also if it has not begun
  go_writer.close
  Process.wait(clients)
end
