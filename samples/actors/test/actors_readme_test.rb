# frozen_string_literal: true

require_relative "support"

# The examples in README.md and in docs/actors.md: a line with "# => value" has that value, one with "# raises Error" raises it.
# Those marked "ruby 4.0" need that.
class ActorsReadmeTest < ActorsTest
  PAGES = %w[../README.md ../../../docs/actors.md].freeze

  PAGES.each do |page|
    define_method(:"test_the_examples_of_#{page.delete_prefix("../")}_are_true") do
      assert_operator check(File.expand_path(page, __dir__)), :>, 5
    end
  end

  # Returns the number of statements with a result.
  def check(page)
    @context = TOPLEVEL_BINDING.dup
    checked = 0
    marks = Actors::Runtime::RACTORS ? /(?: 4\.0)?/ : //
    File.read(page).scan(/^```ruby#{marks}\n(.*?)^```/m).flatten.each do |block|
      block.split(/^(?=\S)(?!end\b|\})/).each do |statement|
        case statement
        when /# raises ([\w:]+)/ then assert_raises(Object.const_get(Regexp.last_match(1))) { run_statement(statement) }
        when /# => (.*)$/ then assert_equal [run_statement(Regexp.last_match(1))], [run_statement(statement)], statement
        else next run_statement(statement)
        end
        checked += 1
      end
    end
    checked
  end

  def run_statement(code) = @context.eval("# frozen_string_literal: true\n#{code}")
end
