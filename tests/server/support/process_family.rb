# frozen_string_literal: true

require "json"

require_relative "process_table"

# A server of several processes in mode threaded, @child being its master, for test cases with a directory.
module ProcessFamily
  include ProcessTable

  # Answers with the pid of the process.
  APP = <<~RUBY
    run ->(_env) { [200, { "content-type" => "text/plain" }, [Process.pid.to_s]] }
  RUBY

  # Ends what a failed test has left.
  def teardown
    kill([@child.pid, *children_of(@child.pid)]) if @child && !@child.ended?
    super
  end

  def control = File.join(directory, "control.sock")

  def start_family(app, *arguments, mode: "threaded", workers: 2, env: {})
    File.write(File.join(directory, "config.ru"), app)
    @child = Child.kino("-m", mode, "-w", workers.to_s, "-t", "1", "--control-bind", "unix://#{control}", *arguments, chdir: directory, env: env)
  end

  def stop
    @child.signal("TERM")
    assert_equal 0, @child.status, @child.log
  end

  # What the control plane answers. The processes of a busy machine may not do it in time.
  def told(path, **rest)
    response = Client.open(control) { |client| client.get(path, **rest) } until response&.status == 200
    response
  end

  def stats = JSON.parse(told("/stats").body)

  # The processes that serve, by their numbers from 1. Two may have the same number while one replaces the other.
  def pids = members.to_h { |pid| [number_of(pid), pid] }
  def members = children_of(@child.pid).select { |pid| number_of(pid) }

  def control_pid = children_of(@child.pid).find { |pid| title_of(pid).start_with?("kino control") }

  private

  def number_of(pid) = title_of(pid)[/\Akino process (\d+)/, 1]&.to_i
end
