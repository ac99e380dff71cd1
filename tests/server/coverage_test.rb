# frozen_string_literal: true

require_relative "support/server_test"

# Every option, and every statistic of Server#stats, has a test of its effect, declared by `covers`.
class CoverageTest < ServerTest
  Declared = Struct.new(:place, :names, :definition, :body)

  # The tests below a line with `covers`, read from their files, because each file runs in a separate process.
  DECLARED = Dir[File.join(__dir__, "*_test.rb")].sort.flat_map do |path|
    lines = File.readlines(path)
    lines.each_index.select { |at| lines[at].match?(/^ +covers :/) }.map do |at|
      indentation = lines[at][/^ +/]
      body = lines.drop(at + 2).take_while { |line| line != "#{indentation}end\n" }.join
      Declared.new("#{File.basename(path)}:#{at + 1}", lines[at].scan(/:(\w+)/).flatten, lines[at + 1], body)
    end
  end

  def covered
    DECLARED.flat_map(&:names).uniq
  end

  def test_every_option_has_a_test_of_its_effect
    assert_empty Kino::Options.names.map(&:to_s) - covered, "options without a test that `covers` them"
  end

  def test_every_statistic_has_a_test_of_its_meaning
    assert_empty statistics - covered, "statistics of Server#stats without a test that `covers` them"
  end

  def test_covers_names_only_existing_options_and_statistics_that_the_test_uses
    known = Kino::Options.names.map(&:to_s) | statistics
    DECLARED.each do |one|
      assert_match(/^ +(test "|def test_)/, one.definition, "#{one.place}: no test below `covers`")
      assert_empty one.names - known, "#{one.place}: neither an option nor a statistic"
      one.names.each do |name|
        assert_match(/(?<![a-z_])#{name.gsub("_", "[_-]")}(?![a-z_-])/, one.body, "#{one.place}: the test does not use #{name}")
      end
    end
  end

  private

  # The names in a server's statistics, including nested ones.
  def statistics
    stats = serve(Apps::Basic.new, :threaded, workers: 1).stats
    names_in(stats).map(&:to_s).uniq
  end

  def names_in(value)
    case value
    when Hash then value.keys + value.values.flat_map { |inner| names_in(inner) }
    when Array then value.flat_map { |inner| names_in(inner) }
    else []
    end
  end
end
