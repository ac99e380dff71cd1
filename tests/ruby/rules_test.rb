# frozen_string_literal: true

require_relative "support/ruby_test"
require "rules"

# A violated precondition ends the program with a message that says what to do instead.
class RulesTest < RubyTest
  # Avoids Ruby's own report on an abort, which reads the debug information of every library and takes seconds.
  WITHOUT_REPORT = "trap('ABRT', 'SYSTEM_DEFAULT')"

  # The message of a child that aborts.
  def rule_broken_by(code)
    printed, status = Open3.capture2e(RbConfig.ruby, "-W:no-experimental", "-r", "rules", "-e", WITHOUT_REPORT, "-e", code)
    assert_equal Signal.list["ABRT"], status.termsig, "the child ended with #{status}:\n#{printed}"
    assert_equal 1, printed.scan("kino: broken rule: ").size, printed
    printed[/kino: broken rule: (.*)/, 1]
  end

  {
    value_of_no_answer: /outcome::value\(\) requires an answered request.*check answered\(\) first \(.*outcome\.hpp:\d+/,
    push_with_gvl: /a thread that holds the GVL must not block natively: call .* that takes `held`/,
    pop_with_gvl: /a thread that holds the GVL must not block natively/,
    wait_with_gvl: /a thread that holds the GVL must not block natively/,
    park_with_gvl: /a thread that holds the GVL must not block natively/,
    submit_with_gvl: /a thread that holds the GVL must not block natively/,
    destroy_with_worker: /a dispatcher must not be destroyed before its workers have left: close it and wait for their threads/,
    assume_in_native_thread: /gvl::assume\(\) is for callbacks that Ruby calls: this thread does not hold the GVL/,
    assume_without_gvl: /gvl::assume\(\) is for callbacks/,
    cache_without_gvl: /a frozen_string_cache, a shareable_cache or a rooted shareable_set must be destroyed by a thread that holds the GVL/,
    shareable_cache_without_gvl: /a frozen_string_cache, a shareable_cache or a rooted shareable_set must be destroyed by a thread that holds the GVL/,
    protect_in_native_thread: /a gvl const& is used only within the call that received it, by the thread that holds/,
    wait_in_native_thread: /a gvl const& is used only within the call/,
    boundary_in_native_thread: /a gvl const& is used only within the call/,
    serve_in_native_thread: /a gvl const& is used only within the call/,
    protect_without_gvl: /a gvl const& is used only within the call/,
    release_twice: /a gvl const& is used only within the call/,
    shared_wait_with_gvl: /a thread that holds the GVL must not block natively/,
    fetch_with_gvl: /a thread that holds the GVL must not block natively/,
    join_with_gvl: /a thread that holds the GVL must not block natively/,
    join_itself: /a thread cannot wait for its own end/,
    take_after_leave: /a worker takes requests in the Ruby thread that joined, after `join` and before `leave`/,
    wait_for_moved: /a receiver that was moved from/,
    moved_subscriber: /a subscriber that was moved from/,
    empty_pin: /an empty pin has no object: .*ask the pin/,
    pin_outlives: /a registry must not be destroyed while there are pins/,
    channel_with_sleeper: /a channel must not be destroyed while a thread waits in it: close it/,
    empty_shareable: /an empty shareable has no object: ask it/,
    set_with_shareables: /a shareable_set must not be destroyed while shareables of it exist/,
    null_text: /to_ruby is given a C string: this one is null; return Qnil/,
    undefined_result: /a method returns a Ruby object: this one returned Qundef.*return Qnil/
  }.each do |name, sentence|
    define_method("test_#{name}_aborts") { assert_match sentence, rule_broken_by("Rules.#{name}") }
  end

  def test_the_rules_hold_in_ractors_too
    assert_match(/must not block natively/, rule_broken_by("Ractor.new { Rules.push_with_gvl }; sleep"))
  end

  def test_throwing_a_ruby_error_after_its_method_has_returned_aborts
    assert_match(/a ruby_error must propagate to the method boundary/, rule_broken_by(<<~RUBY))
      Rules.keep_error
      Rules.throw_kept_error
    RUBY
  end

  def test_taking_with_the_worker_of_another_thread_aborts
    assert_match(/a worker takes requests in the Ruby thread that joined/, rule_broken_by(<<~RUBY))
      Rules.join_for_others
      Thread.new { Rules.take_for_another }.join
    RUBY
  end

  # Otherwise Ruby would be left with a half-executed kill, throw or break.
  def test_swallowing_a_ruby_error_aborts
    ["Rules.swallow { raise 'lost' }", "Rules.swallow { exit }", "Rules.swallow { break }",
     "catch(:out) { Rules.swallow { throw :out } }", "Thread.new { Rules.swallow { Thread.exit } }.join",
     "Rules.swallow_in_handler { raise 'lost' }"].each do |code|
      assert_match(/a ruby_error was caught and not rethrown: .*rethrow it, or rescue/, rule_broken_by(code), code)
    end
  end

  def test_an_exception_may_be_replaced_but_a_kill_throw_or_break_may_not
    replaced = assert_raises(RuntimeError) { Rules.replace { raise IOError, "first" } }
    assert_equal "replaced", replaced.message
    assert_equal 42, Rules.replace { 42 }
    ["Rules.replace { break }", "catch(:out) { Rules.replace { throw :out } }",
     "Thread.new { Rules.replace { Thread.exit } }.join"].each do |code|
      assert_match(/a Thread#kill, throw or break was caught .*rethrow it/, rule_broken_by(code), code)
    end
  end

  def test_an_exception_may_be_rescued
    assert_equal false, Rules.rescue { raise "rescued" }
    assert_nil $!
    # Also while another exception is being handled.
    begin
      raise "outer"
    rescue StandardError
      assert_equal false, Rules.rescue { raise "inner" }
    end
  end

  def test_collecting_an_object_that_owns_a_thread_without_declaring_it_aborts
    ["GC.start", "exit"].each do |collect|
      assert_match(/ruby_owns_threads = true/, rule_broken_by("Rules.lose_an_owner; #{collect}"), collect)
    end
  end

  def test_what_the_rules_allow
    assert_equal 42, Rules.allowed
    assert Rules.submit_waits
    assert_equal "fixed\n", child("require 'rules'; puts Rules.static_cache")
  end
end
