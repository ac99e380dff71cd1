# frozen_string_literal: true

require "minitest/autorun"
require "my_gem"
require "timeout"

class MyGemTest < Minitest::Test
  # Stopped workers cannot be restarted, so every test runs in its own process.
  def in_a_process
    reader, writer = IO.pipe
    code = yield
    pid = Process.spawn(RbConfig.ruby, "-W:no-experimental", *$LOAD_PATH.flat_map { |path| ["-I", path] },
                        "-r", "my_gem", "-r", "timeout", "-e", code, out: writer, err: writer)
    writer.close
    output = Timeout.timeout(60) { reader.read }
    assert Process.wait2(pid).last.success?, output
    output
  end

  def test_ractors_answer
    assert_equal "[1, 4, 9, 16]\n", in_a_process { <<~RUBY }
      ractors = MyGem.start(2) { MyGem.serve { |number| number * number } }
      p (1..4).map { |number| MyGem.ask(number) }
      MyGem.stop
      ractors.each { |ractor| ractor.respond_to?(:join) ? ractor.join : ractor.take }
    RUBY
  end

  def test_asking_without_workers_raises
    assert_equal "no worker answered\n", in_a_process { <<~RUBY }
      MyGem.stop
      begin
        MyGem.ask(1)
      rescue RuntimeError => e
        puts e.message
      end
    RUBY
  end

  def test_an_answer_of_the_wrong_class_ends_the_worker_and_fails_the_question
    assert_equal "no worker answered, TypeError\n", in_a_process { <<~RUBY }
      Thread.report_on_exception = false
      worker = Thread.new { MyGem.serve { |number| "three" } }
      begin
        MyGem.ask(1)
      rescue RuntimeError => e
        print e.message, ", "
      end
      begin
        worker.join
      rescue TypeError => e
        puts e.class
      end
    RUBY
  end

  def test_a_timeout_interrupts_a_waiting_question
    assert_equal "interrupted\n", in_a_process { <<~RUBY }
      begin
        Timeout.timeout(0.1) { MyGem.ask(1) }
      rescue Timeout::Error
        puts "interrupted"
      end
    RUBY
  end

  def test_a_worker_needs_a_block
    assert_raises(LocalJumpError) { MyGem.serve }
  end

  def test_an_argument_of_the_wrong_class_is_a_type_error
    assert_raises(TypeError) { MyGem.ask("one") }
  end
end
