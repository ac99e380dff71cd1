# frozen_string_literal: true

require_relative "support"

# Kino.main.
class MainRactorTest < ChildTest
  def setup
    need_ractors
  end

  def main(program, threads = 2)
    child_values("require 'kino/rails/main_ractor'\nKino::MainRactor.start(#{threads})\n#{program}")
  end

  def test_a_block_runs_in_the_main_ractor
    assert_equal [true, 7, false], main(<<~'RUBY')
      p Ractor.new { three = 3; [Kino.main { Ractor.main? }, Kino.main { three + 4 }, Ractor.main?] }.value
    RUBY
  end

  def test_in_the_main_ractor_it_is_just_called
    assert_equal [true, "main"], child_values(<<~'RUBY')
      require "kino/rails/main_ractor"
      text = +"main"
      p [Kino.main { self == TOPLEVEL_BINDING.receiver }, Kino.main { text }]
    RUBY
  end

  def test_an_error_is_raised_in_the_caller
    assert_equal ["KeyError", "key not found: :a", "StopIteration"], main(<<~'RUBY')
      p Ractor.new {
        error = begin Kino.main { {}.fetch(:a) } rescue $! end
        [error.class.name, error.message, (begin Kino.main { raise StopIteration } rescue $!.class.name end)]
      }.value
    RUBY
  end

  def test_a_result_that_cannot_be_copied_is_an_error
    assert_match(/a block of Kino.main returned Thread, which cannot be copied/, main(<<~'RUBY'))
      p Ractor.new { begin Kino.main { Thread.current } rescue $!.message end }.value
    RUBY
  end

  # More of them than there are Threads, so that one which is lost is missed.
  def test_a_caller_gets_an_answer_whatever_its_block_does
    assert_equal [*%w[ended ended KeyError copied copied copied Evil Evil SystemExit LocalJumpError copied Timeout::Error] * 3, 42], main(<<~'RUBY', 6)
      require "timeout"
      GATE = Thread::Queue.new
      class Evil < StandardError
        def message = raise("no")
        def initialize(*) = @thread = Thread.current
      end
      class Blank < BasicObject # Ruby 4.1 copies one that has nothing
        def initialize = @thread = ::Thread.current
      end
      def answer(block)
        Ractor.new(block) do |called|
          called.call
        rescue Exception => e
          case e.message
          when /has ended its Thread/ then "ended"
          when /cannot be copied/ then "copied"
          when /\AEvil/ then "Evil"
          else e.class.name
          end
        end.value
      end
      blocks = [
        Ractor.shareable_proc { Kino.main { Thread.exit } },
        Ractor.shareable_proc { Kino.main { Thread.current.kill } },
        Ractor.shareable_proc { Kino.main { {}.fetch(:a) } },
        Ractor.shareable_proc { Kino.main { proc {} } },
        Ractor.shareable_proc { Kino.main { Blank.new } },
        Ractor.shareable_proc { Kino.main { Thread.current } },
        Ractor.shareable_proc { Kino.main { raise Evil } },
        Ractor.shareable_proc { Kino.main { raise Evil.new } },
        Ractor.shareable_proc { Kino.main { exit } },
        Ractor.shareable_proc { Kino.main { break 5 } },
        Ractor.shareable_proc { Kino.main { Enumerator.new { |to| to << 1 }.tap(&:next) } },
        Ractor.shareable_proc { Timeout.timeout(0.01) { Kino.main { GATE.pop } } }
      ]
      p (blocks * 3).map { |block| answer(block) } + [Ractor.new { Kino.main { 42 } }.value]
    RUBY
  end

  # Each of the two waits for the other, so one Thread would never finish.
  def test_blocks_run_at_the_same_time
    assert_equal [1, 2], main(<<~'RUBY')
      A, B = Thread::Queue.new, Thread::Queue.new
      p [Ractor.new { Kino.main { A << 1; B.pop } }, Ractor.new { Kino.main { B << 2; A.pop } }].map(&:value).sort
    RUBY
  end

  def test_many_ractors_at_once_get_their_own_results
    assert_equal (0...8).map { |n| (0...50).sum { |m| n * m } }, main(<<~'RUBY')
      p Array.new(8) { |n| Ractor.new(n) { |own| 50.times.sum { |m| Kino.main { own * m } } } }.map(&:value)
    RUBY
  end

  def test_a_forked_process_starts_threads_of_its_own
    assert_equal ["child", 3], child_values(<<~'RUBY')
      require "kino/rails/main_ractor"
      Kino::MainRactor.open
      reader, writer = IO.pipe
      pid = fork do
        early = Ractor.new { Kino.main { 1 } } # waits for the Threads
        Kino::MainRactor.start(2)
        writer.write(Marshal.dump(["child", early.value + Ractor.new { Kino.main { 2 } }.value]))
        exit!
      end
      writer.close
      p Marshal.load(reader.read)
      Process.wait(pid)
    RUBY
  end

  def test_without_threads_it_says_what_is_missing
    assert_equal "Kino::Error: Kino.main needs config.kino.ractors = true", child_values(<<~'RUBY')
      require "kino/rails/main_ractor"
      p Ractor.new { begin Kino.main { 1 } rescue "#{$!.class}: #{$!.message}" end }.value
    RUBY
  end
end
