# frozen_string_literal: true

require_relative "support/ruby_test"
require_relative "support/waiting"
require "dispatching"
require "io/wait"

# A signal ends every wait of the main thread, regardless of the process's other threads. Each situation is a set of
# child processes, one per kind of wait, which receive one signal each while their main thread waits.
class SignalsTest < RubyTest
  PRELUDE = <<~RUBY
    $stdout.sync = true
    require "#{File.join(__dir__, "support/waiting")}"
    require "dispatching"
    def await_main
      Thread.pass until Thread.main.status == "sleep"
    end

    # Continues in a child.
    def continue_in_child
      pid = fork
      (Process.wait(pid); exit!) if pid
    end

    # Prints the pid of the waiting process, waits, and prints the signal that ended the wait.
    def wait_for_signal(name)
      # They may be ignored by the process that started the tests.
      %i[INT TERM].each { |signal| trap(signal, "DEFAULT") }
      puts Process.pid
      name == "serve" ? Dispatching::Dispatcher.make(8, 8, 1, true, 10, false).serve { nil } : Waiting.for_ever(name)
    rescue SignalException => e
      puts Signal.signame(e.signo)
      exit!(0)
    end
    name = ARGV.fetch(0)
  RUBY

  # Lines that run before the wait begins.
  SITUATIONS = {
    "alone" => "",
    "after a thread that lived when the wait began" => "Thread.new { await_main }",
    "beside a thread that sleeps in Ruby" => "Thread.new { sleep }.tap { |t| Thread.pass until t.stop? }",
    # Before Ruby 3.3, the thread that slept first watches for signals; the other one does not take over.
    "after the first of two sleepers" => <<~RUBY,
      first = Thread.new { sleep 0.001 until Thread.main.status == "sleep" }
      Thread.pass until first.stop?
      Thread.new { sleep }.tap { |second| Thread.pass until second.stop? }
    RUBY
    "beside a thread in a native wait" => "Waiting.thread('pop')",
    "beside Ractors in native waits" => <<~RUBY,
      2.times do |n|
        Ractor.new { Waits.pin; Waiting.for_ever("pop") }
        Thread.pass until Waits.alive > n
      end
    RUBY
    "after a Ractor that slept in Ruby" => <<~RUBY,
      gate = Ractor.make_shareable(Waits::Channel.make(1))
      Ractor.new(gate) do |g|
        g.push(1)
        sleep 0.001 until Waits.alive.zero?
        sleep 0.001 until Waits.alive.positive?
      end
      gate.pop
    RUBY
    "in a forked child" => "Waiting.thread('pop'); continue_in_child; Thread.new { await_main }",
    "in a child forked by a thread" => <<~RUBY
      Thread.new do
        continue_in_child
        Thread.new { await_main }
        wait_for_signal(name)
      end
      sleep
    RUBY
  }.freeze
  # Each wait, and the signal that ends it.
  WAITS = { "pop" => "INT", "push" => "TERM", "answer" => "INT", "sleep" => "TERM", "without_gvl" => "INT",
            "serve" => "TERM" }.freeze
  # The time limit for all children, in seconds, for a busy machine.
  PATIENCE = 60

  SITUATIONS.each do |situation, lines|
    define_method("test_a_signal_ends_every_wait_#{situation.tr(" ", "_")}") do
      skip "GC modes have no effect on the children" unless GC_MODE == "none"
      skip "this platform cannot fork" if lines.include?("fork") && !Process.respond_to?(:fork)
      @until = now + PATIENCE
      children = WAITS.keys.to_h { |name| [name, start("#{PRELUDE}\n#{lines}\nwait_for_signal(name)", name)] }
      ended = children.to_h { |name, child| [name, signal_once(child, WAITS[name])] }
      assert_equal WAITS, ended
    ensure
      children&.each_value { |child| finish(child) }
    end
  end

  private

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  # In a new process group, so its forked children can be killed with it.
  def start(code, *arguments)
    reader, writer = IO.pipe
    pid = Process.spawn(RbConfig.ruby, "-W:no-experimental", "-e", code, *arguments,
                        out: writer, pgroup: true)
    writer.close
    { pid: pid, out: reader }
  end

  # Sends one signal to the waiting process, and returns the signal that it reports.
  def signal_once(child, signal)
    pid = Integer(line(child))
    await_asleep(pid)
    Process.kill(signal, pid)
    line(child)
  end

  # Waits until the main thread sleeps, if the system tells: a signal before the wait would be the easy case.
  def await_asleep(pid)
    stat = "/proc/#{pid}/stat"
    await { "SZX".include?(File.read(stat)[/\) (\w)/, 1]) } if File.exist?(stat)
  end

  def line(child)
    child[:out].wait_readable([@until - now, 0].max) ? child[:out].gets&.chomp : "nothing"
  end

  def finish(child)
    Process.kill(:KILL, -child[:pid])
    Process.wait(child[:pid])
    child[:out].close
  end
end
