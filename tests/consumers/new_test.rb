# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# samples/new writes a gem whose tests pass at once, and which can be packed, installed and used.

require_relative "support/gem_home"

class NewTest < ConsumerTest
  include GemHome

  # The native one, because it is installed in a second.
  def packed = native_gem

  def installing = {}

  # Rake and minitest are where the tests have them.
  def with_tools
    paths = [gems["GEM_PATH"], *Gem.path].join(File::PATH_SEPARATOR)
    gems.merge("GEM_PATH" => paths)
  end

  once(:written) do
    ruby!(File.join(ROOT, "samples/new"), "wire_counter", sandbox("wire_counter"))
    sandbox("wire_counter")
  end

  def rake!(**environment) = ruby!("-S", "rake", chdir: written, env: with_tools.merge(environment))

  def test_its_tests_pass_at_once
    output = rake!
    assert_match(/ 0 failures, 0 errors/, output)
    refute_match(/\b0 runs/, output)
    refute_match(/warning/, output)
  end

  # Not from rubygems.org, where the name is somebody else's.
  def test_bundler_gets_kino_from_here
    assert_includes File.read(File.join(written, "Gemfile")), %(gem "kino", path: "#{ROOT}/samples/server")
  end

  def test_its_tests_pass_under_sanitizers
    skip "no runtime of the sanitizers" unless run!(COMPILER, "-print-file-name=libasan.so").include?("/")

    assert_match(/ 0 failures, 0 errors/, rake!("SANITIZE" => "address,undefined"))
  end

  # Otherwise a green run under sanitizers would mean nothing.
  def test_the_sanitizer_sees_what_the_extension_does
    skip "no runtime of the sanitizers" unless run!(COMPILER, "-print-file-name=libasan.so").include?("/")

    broken = sandbox("broken")
    FileUtils.cp_r(written, broken)
    FileUtils.rm_rf(File.join(broken, "build"))
    source = File.join(broken, "ext/wire_counter/wire_counter.cpp")
    code = File.read(source)
    changed = code.sub("return LONG2NUM(outcome.value());", <<~CPP)
      auto* const freed = new long volatile(outcome.value());
      delete freed;
      return LONG2NUM(*freed);
    CPP
    refute_equal code, changed
    File.write(source, changed)
    output = fail!(RbConfig.ruby, "-S", "rake", chdir: broken, env: with_tools.merge("SANITIZE" => "address"))
    assert_match(/AddressSanitizer: heap-use-after-free/, output)
  end

  def test_it_can_be_packed_installed_and_used
    gem!("build", "wire_counter.gemspec", chdir: written, env: gems)
    gem!("install", "--local", "--no-document", "wire_counter-0.1.0.gem", chdir: written, env: gems)
    code = 'require "wire_counter"; r = Ractor.new { WireCounter.serve { |n| n * 2 } }; p WireCounter.ask(21); WireCounter.stop'
    assert_equal "42\n", ruby!("-e", code, env: gems)
  end

  def test_nothing_keeps_the_template_s_name
    left = Dir.glob("**/*", File::FNM_DOTMATCH, base: written).select { |path| File.file?(File.join(written, path)) }
    left.reject! { |path| path.start_with?("build/") }
    assert_includes left, ".github/workflows/test.yml"
    assert_empty(left.select { |path| path.match?(/my_?gem/i) || File.binread(File.join(written, path)).match?(/my_?gem/i) })
  end

  def test_what_cannot_be_a_name_or_a_place_is_refused
    script = File.join(ROOT, "samples/new")
    assert_match(/^usage: /, fail!(RbConfig.ruby, script))
    assert_match(/^usage: /, fail!(RbConfig.ruby, script, "Wire-Counter"))
    assert_match(/is there already/, fail!(RbConfig.ruby, script, "wire_counter", written))
  end
end
