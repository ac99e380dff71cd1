# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# An unrelated gem is also named kino: the error message when Ruby has found that one.

require_relative "support/consumer_test"

class NamesakeTest < ConsumerTest
  LIBRARY = { "RUBYLIB" => File.join(ROOT, "samples/server/lib") }.freeze

  once(:stranger) do
    directory = sandbox("stranger")
    FileUtils.mkdir_p(File.join(directory, "lib"))
    File.write(File.join(directory, "lib/kino.rb"), "module Kino\nend\n")
    File.write(File.join(directory, "kino.gemspec"), <<~RUBY)
      Gem::Specification.new do |spec|
        spec.name = "kino"
        spec.version = "0.7.2"
        spec.summary = "A server"
        spec.authors = ["Another"]
        spec.files = ["lib/kino.rb"]
      end
    RUBY
    only_here = { "GEM_HOME" => sandbox("gems"), "GEM_PATH" => sandbox("gems") }
    gem!("build", "kino.gemspec", chdir: directory, env: only_here)
    gem!("install", "--local", "--no-document", "kino-0.7.2.gem", chdir: directory, env: only_here)
    only_here
  end

  %w[kino kino/mkmf].each do |file|
    define_method("test_#{file.tr("/", "_")}_says_that_the_active_gem_is_another_one") do
      code = "gem 'kino'; begin; require '#{file}'; rescue LoadError => e; puts e.message; end"
      output = ruby!("-e", code, env: stranger.merge(LIBRARY))
      assert_match(/\Athe active gem kino-0\.7\.2 \(.*\) is an unrelated gem of the same name: remove it/, output)
      assert_equal 1, output.lines.size, output
    end
  end

  # The server that an application uses is no business of a gem that has its own copy of the headers.
  def test_a_copy_in_a_gem_does_not_care
    ruby!(File.join(ROOT, "samples/new"), "with_a_copy", sandbox("with_a_copy"))
    mkmf = sandbox("with_a_copy/vendor/kino/lib/kino/mkmf")
    assert_equal "true\n", ruby!("-e", "gem 'kino'; require '#{mkmf}'; p respond_to?(:have_kino, true)", env: stranger)
  end

  # A gem by that name must not be asked for: the public registry would answer with the other one.
  def test_nothing_here_depends_on_a_gem_called_kino
    named = Dir.glob("{samples,tests}/**/{*.gemspec,Gemfile}", base: ROOT).select do |path|
      File.read(File.join(ROOT, path)).match?(/add_\w*dependency[ (]["']kino["']|^\s*gem ["']kino["'] *$|^\s*gem ["']kino["'], *["']/)
    end
    assert_empty named
  end
end
