# frozen_string_literal: true

require_relative "support/census"
require_relative "support/server_test"

# TERM under load: every request that the server has accepted is answered, and both sides count the same number.
#
# KINO_TERMS=200 ends so many servers, half of them in each mode, and a quarter on Unix sockets; and half as many of two processes.
class TerminationTest < ServerTest
  CONNECTIONS = 64
  # Answers before the signal: all connections have been used, many more than once.
  WARM = 500
  TERMS = Integer(ENV.fetch("KINO_TERMS", "4"))

  def end_under_load(mode, local, *arguments)
    calls = File.join(directory, "calls")
    socket = File.join(directory, "socket")
    binds = local ? ["-b", "127.0.0.1", "-b", "unix://#{socket}"] : []
    @child = Child.kino("-m", mode.to_s, "-w", "2", *arguments, *binds, File.join(__dir__, "support/counting.ru"))
    @child.follow
    address = local ? Addrinfo.unix(socket) : Addrinfo.tcp("127.0.0.1", @child.port)
    census = Census.new(address, connections: CONNECTIONS, path: "/?#{calls}")
    census.run { census.answered >= WARM }
    @child.signal("TERM")
    census.run { false }
    assert_equal 0, @child.status, @child.log
    assert_empty census.losses
    assert_equal [200], census.statuses.keys
    assert_equal census.answered, File.size(calls), "the requests that the app got, and the answers that clients got"
  end

  TERMS.times do |number|
    mode = number.even? ? :ractor : :threaded
    local = number % 4 == 3
    define_method("test_#{mode}_#{local ? "unix" : "tcp"}_#{number}") { end_under_load(mode, local) }
  end

  (TERMS / 2).times do |number|
    define_method("test_processes_#{number.even? ? "tcp" : "unix"}_#{number}") { end_under_load(:threaded, number.odd?, "--processes", "2") }
  end
end
