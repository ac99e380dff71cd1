# frozen_string_literal: true

require_relative "support/ruby_test"
require "rules"

# A broken rule in an extension ends the program immediately and says what to do instead.
class RulesTest < RubyTest
  # What the child prints on standard error before it aborts; Ruby's own report may follow.
  def rule_broken_by(code)
    printed, status = Open3.capture2e(RbConfig.ruby, "-W:no-experimental", "-r", "rules", "-e", code)
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
    cache_without_gvl: /a frozen_string_cache or shareable_cache must be destroyed by a thread that holds the GVL/,
    shareable_cache_without_gvl: /a frozen_string_cache or shareable_cache must be destroyed by a thread that holds the GVL/
  }.each do |name, sentence|
    define_method("test_#{name}") { assert_match sentence, rule_broken_by("Rules.#{name}") }
  end

  def test_the_rules_hold_in_ractors_too
    assert_match(/must not block natively/, rule_broken_by("Ractor.new { Rules.push_with_gvl }; sleep"))
  end

  def test_an_error_that_is_kept
    assert_match(/a ruby_error must propagate to the method boundary/, rule_broken_by(<<~RUBY))
      Rules.keep_error
      Rules.throw_kept_error
    RUBY
  end

  def test_what_the_rules_allow
    assert_equal 42, Rules.allowed
    assert Rules.submit_waits
    assert_equal "fixed\n", child("require 'rules'; puts Rules.static_cache")
  end
end
