# frozen_string_literal: true

# The README's first screen shows samples/hello_ractor: code and output must be identical.

require "minitest/autorun"

class ReadmeTest < Minitest::Test
  ROOT = File.expand_path("../..", __dir__)
  README = File.read(File.join(ROOT, "README.md"))

  def sample(name) = File.read(File.join(ROOT, "samples/hello_ractor", name))

  def block(language) = README[/^```#{language}\n(.*?)^```$/m, 1] || flunk("README.md has no #{language} block")

  def test_the_cpp_block_is_the_sample_without_its_opening_comment
    assert_equal sample("hello_ractor.cpp").sub(%r{\A(//[^\n]*\n)+\n}, ""), block("cpp")
  end

  def test_the_ruby_block_is_the_sample_without_its_magic_comment
    assert_equal sample("run.rb").sub(/\A(#[^\n]*\n)+\n/, ""), block("ruby")
  end

  def test_the_extconf_is_that_of_the_sample
    assert_includes README, "```ruby\n#{sample("extconf.rb").sub(/\A(#[^\n]*\n)+\n/, "")}```\n"
  end

  def test_the_sample_is_small
    files = Dir[File.join(ROOT, "samples/hello_ractor/*")]
    assert_operator files.sum { |file| File.readlines(file).size }, :<, 100
  end

  def test_the_output_is_that_of_the_sample
    assert_equal sample("expected.txt"), block("text")
  end

  def test_every_relative_link_has_an_existing_target
    links = Dir[File.join(ROOT, "{*.md,docs/**/*.md,samples/**/*.md}")].flat_map do |file|
      prose = File.read(file).gsub(/^```.*?^```$/m, "")
      prose.scan(/\]\(([^)#:]+)(?:#[^)]*)?\)/).flatten.map { |target| [file, target] }
    end
    refute_empty links
    broken = links.reject { |file, target| File.exist?(File.expand_path(target, File.dirname(file))) }
    assert_empty broken.map { |file, target| "#{file.delete_prefix("#{ROOT}/")}: #{target}" }
  end
end
