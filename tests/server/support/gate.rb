# frozen_string_literal: true

require "timeout"

# Lets a test see that a handler has reached a point, and hold it there. Only file descriptors travel to
# the handler (in the query string), so it works into any Ractor.
class Gate
  def initialize
    @arrived, @arrive = IO.pipe
    @pass, @release = IO.pipe
  end

  def query
    "arrive=#{@arrive.fileno}&pass=#{@pass.fileno}"
  end

  # Waits until +count+ handlers have arrived since the last call.
  def await(count = 1)
    Timeout.timeout(20) { count.times { @arrived.readpartial(1) } }
  end

  # Whether a handler has arrived that was not awaited.
  def arrived?
    !IO.select([@arrived], nil, nil, 0).nil?
  end

  # Lets +count+ waiting handlers, or the next ones, go on.
  def pass(count = 1)
    @release.syswrite("." * count)
  end

  # Lets all go on, now and later.
  def open
    @release.close unless @release.closed?
  end

  def close
    [@arrived, @arrive, @pass, @release].each { |io| io.close unless io.closed? }
  end

  # The handler's side: says that it has arrived.
  def self.arrive(query)
    IO.for_fd(query[/arrive=(\d+)/, 1].to_i, "w", autoclose: false).syswrite(".")
  end

  # The handler's side: says that it has arrived and waits to be let on.
  def self.enter(query)
    arrive(query)
    begin
      IO.for_fd(query[/pass=(\d+)/, 1].to_i, "r", autoclose: false).sysread(1)
    rescue EOFError
      nil
    end
  end
end
