# frozen_string_literal: true

require_relative "support"

# The examples in README.md: a line with "# => value" has that value, one with "# raises Error" raises it.
class ActorsReadmeTest < ActorsTest
  PAGE = File.expand_path("../README.md", __dir__)

  def test_the_examples_are_true
    @context = TOPLEVEL_BINDING.dup
    checked = 0
    File.read(PAGE).scan(/^```ruby\n(.*?)^```/m).flatten.each do |block|
      block.split(/^(?=\S)(?!end\b|\})/).each do |statement|
        case statement
        when /# raises ([\w:]+)/ then assert_raises(Object.const_get(Regexp.last_match(1))) { run_statement(statement) }
        when /# => (.*)$/ then assert_equal [run_statement(Regexp.last_match(1))], [run_statement(statement)], statement
        else next run_statement(statement)
        end
        checked += 1
      end
    end
    assert_operator checked, :>, 10
  end

  def run_statement(code) = @context.eval("# frozen_string_literal: true\n#{code}")
end
