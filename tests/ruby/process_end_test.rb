# frozen_string_literal: true

require_relative "support/ruby_test"
require_relative "support/waiting"
require "dispatching"

# A process can end while its threads and Ractors wait: every child ends with success.
class ProcessEndTest < RubyTest
  SETUP = <<~RUBY
    $stdout.sync = true
    require "#{File.join(__dir__, "support/waiting")}"
    require "dispatching"
    Thread.report_on_exception = false
    dispatcher = Ractor.make_shareable(Dispatching::Dispatcher.make(8, 8, 1, true, 10, false))
    name = ARGV.fetch(0)
    # Each wait has one live C++ object or more.
    def until_alive(count)
      Thread.pass until Waits.alive >= count
    end
  RUBY
  IN_THREADS = 'threads = Array.new(3) { Waiting.thread(name) }; until_alive(3)'
  IN_RACTORS = <<~RUBY
    ractors = (1..3).map do |count|
      Ractor.new(name) { |how| Waits.pin; Waiting.for_ever(how) }.tap { until_alive(count) }
    end
  RUBY
  ENDINGS = {
    "end" => "", "exit" => "exit", "raise" => "begin; raise 'over'; ensure; exit(true); end",
    "SIGTERM" => "trap(:TERM) { exit }; Process.kill(:TERM, Process.pid); Waiting.for_ever(name)",
    # It may be ignored by the process that started the tests.
    "SIGINT" => <<~RUBY,
      trap(:INT, "DEFAULT")
      main = Thread.current
      Thread.new { Thread.pass until main.status == "sleep"; Process.kill(:INT, Process.pid) }
      begin
        Waiting.for_ever(name)
      rescue Interrupt
        puts "interrupted"
      end
    RUBY
  }.freeze

  Waiting::NAMES.each do |name|
    { threads: IN_THREADS, ractors: IN_RACTORS }.each do |kind, start|
      define_method("test_a_process_ends_while_#{kind}_wait_in_#{name}") do
        assert_equal "waiting\n", child("#{SETUP}\n#{start}\nputs 'waiting'", name)
      end
    end
  end

  ENDINGS.each do |ending, source|
    define_method("test_a_process_ends_by_#{ending}_while_threads_and_ractors_wait") do
      printed = child("#{SETUP}\n#{IN_RACTORS}\nthreads = Array.new(2) { Waiting.thread(name) }\n#{source}", "pop")
      assert_equal ending == "SIGINT" ? "interrupted\n" : "", printed
    end
  end

  def test_ensure_blocks_run_at_the_end
    printed = child(<<~RUBY, "pop")
      #{SETUP}
      thread = Thread.new { begin; Waiting.for_ever(name); ensure; puts "ensure"; end }
      until_alive(1)
    RUBY
    assert_equal "ensure\n", printed
  end

  # Idle and blocked workers, in threads and Ractors; the dispatcher is never closed.
  def test_a_process_ends_while_workers_wait
    printed = child(<<~RUBY, "pop")
      #{SETUP}
      gate = Ractor.make_shareable(Dispatching::Gate.make(9))
      serve = ->(count, &start) { start.call; Thread.pass until dispatcher.slots.count(&:first) == count }
      workers = []
      (1..2).each { |n| serve.(n) { workers << Thread.new { dispatcher.serve { gate.meet } } } }
      (3..5).each { |n| serve.(n) { workers << Ractor.new(dispatcher, gate) { |d, g| d.serve { g.meet } } } }
      answers = Array.new(2) { |n| dispatcher.submit(n) }
      Thread.pass until gate.arrived == 2
      puts "busy"
    RUBY
    assert_equal "busy\n", printed
  end

  def test_a_process_ends_while_a_worker_computes
    printed = child(<<~RUBY, "pop")
      #{SETUP}
      flag = Ractor.make_shareable(Dispatching::Counter.make)
      worker = Ractor.new(dispatcher, flag) { |d, f| d.serve { f.add; loop {} } }
      answer = dispatcher.submit(1)
      Thread.pass until flag.value == 1
      queued = dispatcher.submit(2)
      puts "computing"
    RUBY
    assert_equal "computing\n", printed
  end

  def test_a_process_ends_while_native_threads_submit_requests
    printed = child(<<~RUBY, "pop")
      #{SETUP}
      worker = Ractor.new(dispatcher) { |d| d.serve { |n| 2 * n } }
      flood = dispatcher.submit_many(100_000, 2)
      Thread.pass until dispatcher.slots[0][2] > 100
      puts "loaded"
    RUBY
    assert_equal "loaded\n", printed
  end
end
