# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# have_kino of kino/mkmf, from a checkout: its settings and its error messages.

require_relative "support/consumer_test"

class MkmfTest < ConsumerTest
  LIBRARY = { "RUBYLIB" => File.join(ROOT, "samples/server/lib") }.freeze

  # A directory with the extension's source and this extconf.rb.
  def extension(name, extconf: File.read(File.join(HERE, "extension/extconf.rb")))
    directory = project("extension", copy_as: name)
    File.write(File.join(directory, "extconf.rb"), extconf)
    directory
  end

  def extconf!(directory, *arguments, env: {})
    ruby!("extconf.rb", *arguments, chdir: directory, env: LIBRARY.merge(env))
  end

  def make!(directory) = run!("make", chdir: directory)

  # A copy of the headers, which the test may change.
  def headers(name)
    FileUtils.mkdir_p(sandbox(name))
    FileUtils.cp_r(File.join(ROOT, "include"), sandbox(name))
    sandbox(name)
  end

  once(:built) do
    extension("built").tap do |directory|
      extconf!(directory)
      make!(directory)
    end
  end

  def test_three_lines_build_an_extension
    assert_runs built
  end

  def test_the_extension_is_optimised_even_if_ruby_has_no_flags_for_cxx
    assert_match(/^CXXFLAGS = .*(-O\d|\$\(optflags\))/, File.read(File.join(built, "Makefile")))
  end

  def test_a_changed_header_rebuilds_the_extension
    prefix = headers("changing")
    directory = extension("rebuilt")
    extconf!(directory, "--with-kino-dir=#{prefix}")
    make!(directory)
    refute_match(/compiling/, make!(directory))
    FileUtils.touch(File.join(prefix, "include/kino/detail/claim.hpp"), mtime: Time.now + 60)
    assert_match(/compiling/, make!(directory))
  end

  def test_a_later_standard_can_be_selected
    directory = extension("later", extconf: "require 'kino/mkmf'\nhave_kino(std: 23)\ncreate_makefile('consumer')\n")
    extconf!(directory)
    make!(directory)
    standard = ruby!("-I", directory, "-e", "require 'consumer'; puts Consumer.standard").to_i
    assert_operator standard, :>, 2020_02
  end

  def test_the_error_about_an_unknown_standard_names_compiler_and_flag
    directory = extension("unknown", extconf: "require 'kino/mkmf'\nhave_kino(std: 99)\n")
    output = fail!(RbConfig.ruby, "extconf.rb", chdir: directory, env: LIBRARY)
    assert_match(/^kino: `.+` does not know C\+\+99 \(-std=c\+\+99\)\.$/, output)
  end

  def test_the_error_about_missing_headers_names_the_directory
    output = fail!(RbConfig.ruby, "extconf.rb", "--with-kino-dir=#{sandbox("nowhere")}", chdir: extension("lost"), env: LIBRARY)
    assert_match(/^kino: there are no headers of kino .* in #{Regexp.escape(sandbox("nowhere/include"))}/, output)
    assert_match(/--with-kino-dir names a directory/, output)
  end

  def test_the_error_about_headers_that_do_not_compile_shows_the_compiler_s_error
    prefix = headers("broken")
    File.write(File.join(prefix, "include/kino/channel.hpp"), "#error \"something is wrong here\"\n")
    directory = extension("failing")
    output = fail!(RbConfig.ruby, "extconf.rb", "--with-kino-dir=#{prefix}", chdir: directory, env: LIBRARY)
    assert_match(/^kino: `.+` cannot compile <kino\/dispatch\.hpp> from #{Regexp.escape(prefix)}/, output)
    assert_match(/something is wrong here/, output)
    assert_includes output, File.join(directory, "mkmf.log")
  end

  def test_the_error_about_a_missing_compiler_names_it
    output = fail!(RbConfig.ruby, "extconf.rb", chdir: extension("bare"), env: LIBRARY.merge("CXX" => "no-such-compiler"))
    assert_match(/^kino: the C\+\+ compiler `no-such-compiler` cannot build/, output)
  end

  def test_requiring_it_only_defines_have_kino
    code = <<~RUBY
      require "mkmf"
      before = [Object.constants, Object.new.methods, global_variables, $CXXFLAGS.dup, Dir.children(".")]
      require "kino/mkmf"
      after = [Object.constants, Object.new.methods, global_variables, $CXXFLAGS, Dir.children(".")]
      puts before == after
      puts respond_to?(:have_kino, true)
    RUBY
    FileUtils.mkdir_p(sandbox("empty"))
    assert_equal "true\ntrue\n", ruby!("-e", code, chdir: sandbox("empty"), env: LIBRARY)
  end

  # Two gems in one process, with the same and with different versions.
  def test_two_extensions_share_no_state
    newer = headers("newer")
    version = File.join(newer, "include/kino/version.hpp")
    File.write(version, File.read(version).sub(/VERSION_MINOR \d+/, "VERSION_MINOR 77"))
    { "same" => ROOT, "other" => newer }.each do |name, prefix|
      second = extension("second-#{name}", extconf: <<~RUBY)
        require "kino/mkmf"
        have_kino
        $defs << "-DSECOND_CONSUMER"
        create_makefile("second_consumer")
      RUBY
      extconf!(second, "--with-kino-dir=#{prefix}")
      make!(second)
      code = "require 'consumer'; require 'second_consumer'; 3.times { Consumer.count }; " \
             "p Consumer.version, SecondConsumer.version, SecondConsumer.count"
      expected = name == "same" ? VERSION : VERSION.sub(/\.\d+\./, ".77.")
      assert_equal "#{VERSION.inspect}\n#{expected.inspect}\n1\n", ruby!("-I", built, "-I", second, "-e", code)
    end
  end
end
