# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# An unrelated gem is also named kino: the error message if Ruby finds that one.

require_relative "support/consumer_test"

class NamesakeTest < ConsumerTest
  LIBRARY = { "RUBYLIB" => File.join(ROOT, "samples/server/lib") }.freeze

  once(:unrelated) do
    directory = sandbox("unrelated")
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
      output = ruby!("-e", code, env: unrelated.merge(LIBRARY))
      assert_match(/\Athe active gem kino-0\.7\.2 \(.*\) is an unrelated gem of the same name: remove it/, output)
      assert_equal 1, output.lines.size, output
    end
  end

  # A gem with its own copy of the headers does not depend on the server that an application uses.
  def test_a_copy_in_a_gem_accepts_another_gem_named_kino
    ruby!(File.join(ROOT, "samples/new"), "with_a_copy", sandbox("with_a_copy"))
    mkmf = sandbox("with_a_copy/vendor/kino/lib/kino/mkmf")
    assert_equal "true\n", ruby!("-e", "gem 'kino'; require '#{mkmf}'; p respond_to?(:have_kino, true)", env: unrelated)
  end

  # A dependency by that name would be resolved to the other gem.
  def test_no_gemspec_or_gemfile_depends_on_a_gem_named_kino
    named = Dir.glob("{samples,tests}/**/{*.gemspec,Gemfile}", base: ROOT).select do |path|
      File.read(File.join(ROOT, path)).match?(/add_\w*dependency[ (]["']kino["']|^\s*gem ["']kino["'] *$|^\s*gem ["']kino["'], *["']/)
    end
    assert_empty named
  end
end
