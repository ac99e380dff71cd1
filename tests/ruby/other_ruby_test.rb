# frozen_string_literal: true

require_relative "support/ruby_test"

# An extension that was compiled for another version of Ruby.
class OtherRubyTest < RubyTest
  def test_it_is_refused_before_it_does_anything
    2.times do
      error = assert_raises(LoadError) { require "other_ruby" }
      major, minor = RUBY_VERSION.split(".")
      assert_equal "this extension was compiled for Ruby #{major}.99, and cannot be loaded by Ruby #{major}.#{minor}: compile it again", error.message
      refute defined?(OtherRuby)
    end
  end
end
