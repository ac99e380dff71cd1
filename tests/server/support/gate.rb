# frozen_string_literal: true

require "timeout"

# Tells a test that a handler has reached a point, and holds the handler there. The handler gets only file descriptors,
# in the query string, so it may run in any Ractor.
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

  # Whether a handler has arrived that no #await has counted.
  def arrived?
    !IO.select([@arrived], nil, nil, 0).nil?
  end

  # Lets +count+ handlers continue: waiting ones, or the next to arrive.
  def pass(count = 1)
    @release.syswrite("." * count)
  end

  # Lets all handlers continue, including later ones.
  def open
    @release.close unless @release.closed?
  end

  def close
    [@arrived, @arrive, @pass, @release].each { |io| io.close unless io.closed? }
  end

  # For handlers: reports the arrival.
  def self.arrive(query)
    IO.for_fd(query[/arrive=(\d+)/, 1].to_i, "w", autoclose: false).syswrite(".")
  end

  # For handlers: reports the arrival and waits for #pass or #open.
  def self.enter(query)
    arrive(query)
    begin
      IO.for_fd(query[/pass=(\d+)/, 1].to_i, "r", autoclose: false).sysread(1)
    rescue EOFError
      nil
    end
  end
end
