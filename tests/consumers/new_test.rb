# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# samples/new generates a gem whose tests pass, and which can be packed, installed and used.

require "yaml"
require_relative "support/gem_home"

class NewTest < ConsumerTest
  include GemHome

  # The native gem, because it installs quickly.
  def packed = native_gem

  def installing = {}

  # Rake and minitest come from the gems of the tests.
  def with_tools
    paths = [gems["GEM_PATH"], *Gem.path].join(File::PATH_SEPARATOR)
    gems.merge("GEM_PATH" => paths)
  end

  once(:written) do
    ruby!(File.join(ROOT, "samples/new"), "wire_counter", sandbox("wire_counter"))
    sandbox("wire_counter")
  end

  def rake!(**environment) = ruby!("-S", "rake", chdir: written, env: with_tools.merge(environment))

  def test_its_tests_pass_without_changes
    output = rake!
    assert_match(/ 0 failures, 0 errors/, output)
    refute_match(/\b0 runs/, output)
    refute_match(/warning/, output)
  end

  # So the directory can be moved to any machine.
  def test_it_contains_no_path_of_this_machine_and_has_no_dependencies
    Dir.glob("**/*", File::FNM_DOTMATCH, base: written).each do |path|
      file = File.join(written, path)
      refute_includes File.binread(file), ROOT, path if File.file?(file) && !path.start_with?("build/")
    end
    assert_empty Gem::Specification.load(File.join(written, "wire_counter.gemspec")).dependencies
    assert_equal %w[concurrentqueue.txt kino.txt], Dir.children(File.join(written, "vendor/kino/licenses")).sort
    assert_match(/\AMIT License\n\nCopyright \(c\) 20\d\d The authors of wire_counter\n/, File.read(File.join(written, "LICENSE")))
  end

  # The commands of the workflow, in a copy whose path has a space; except those that install a compiler and Ruby.
  def test_the_steps_of_its_ci_pass_in_another_directory
    copy = sandbox("another place", "wire_counter")
    FileUtils.mkdir_p(File.dirname(copy))
    FileUtils.cp_r(written, copy)
    FileUtils.rm_rf([File.join(copy, "build"), File.join(copy, "Gemfile.lock")])
    FileUtils.mv(written, "#{written}.away")
    steps = YAML.safe_load(File.read(File.join(copy, ".github/workflows/test.yml"))).fetch("jobs").fetch("test").fetch("steps")
    commands = steps.filter_map { |step| step["run"] }.grep_v(/apt-get/)
    assert_equal ["bundle exec rake"], commands
    env = with_tools.merge("BUNDLE_PATH" => nil, "BUNDLE_APP_CONFIG" => sandbox("bundle-config"))
    # Like bundler-cache.
    ruby!("-S", "bundle", "install", "--local", chdir: copy, env: env)
    commands.each { |command| assert_match(/ 0 failures, 0 errors/, ruby!("-S", *command.split, chdir: copy, env: env)) }
  ensure
    FileUtils.mv("#{written}.away", written) if File.directory?("#{written}.away")
  end

  def test_its_copy_of_kino_can_be_updated
    other = sandbox("newer kino")
    FileUtils.mkdir_p(File.join(other, "samples/server"))
    %w[include LICENSE samples/server/lib].each { |path| FileUtils.cp_r(File.join(ROOT, path), File.join(other, path)) }
    version = File.join(other, "include/kino/version.hpp")
    File.write(version, File.read(version).sub(/MINOR \d+/, "MINOR 77"))
    copy = sandbox("updated")
    FileUtils.cp_r(written, copy)
    output = ruby!("-S", "rake", "kino:update[#{other}]", chdir: copy, env: with_tools)
    assert_match(/^vendor\/kino is kino \d+\.77\.\d+$/, output)
    assert_includes File.read(File.join(copy, "vendor/kino/include/kino/version.hpp")), "MINOR 77"
    assert_match(/ 0 failures, 0 errors/, ruby!("-S", "rake", chdir: copy, env: with_tools))
    output = fail!(RbConfig.ruby, "-S", "rake", "kino:update[/nowhere]", chdir: copy, env: with_tools)
    assert_match(%r{/nowhere is not a kino directory: .* pass a checkout or an installed gem}, output)
  end

  def test_its_tests_pass_under_sanitizers
    skip "the sanitizers' runtime is not installed" unless run!(COMPILER, "-print-file-name=libasan.so").include?("/")

    assert_match(/ 0 failures, 0 errors/, rake!("SANITIZE" => "address,undefined"))
  end

  # Otherwise a successful run under sanitizers would mean nothing.
  def test_the_sanitizer_detects_errors_of_the_extension
    skip "the sanitizers' runtime is not installed" unless run!(COMPILER, "-print-file-name=libasan.so").include?("/")

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

  def test_the_template_s_name_is_replaced_everywhere
    left = Dir.glob("**/*", File::FNM_DOTMATCH, base: written).select { |path| File.file?(File.join(written, path)) }
    left.reject! { |path| path.start_with?("build/", "vendor/") }
    assert_includes left, ".github/workflows/test.yml"
    assert_empty(left.select { |path| path.match?(/my_?gem/i) || File.binread(File.join(written, path)).match?(/my_?gem/i) })
  end

  def test_an_invalid_name_or_an_existing_directory_is_refused
    script = File.join(ROOT, "samples/new")
    assert_match(/^usage: /, fail!(RbConfig.ruby, script))
    assert_match(/^usage: /, fail!(RbConfig.ruby, script, "Wire-Counter"))
    { "class" => /a Ruby keyword/, "object" => /module Object, which already exists/, "kino" => /taken by kino/,
      "set" => /./, "json" => /library that Ruby finds already/, "bundler" => /./ }.each do |name, reason|
      output = fail!(RbConfig.ruby, script, name, sandbox("refused"))
      assert_match(/\Aa gem cannot be named #{name}: the name .*\. Choose another, like my_#{name}\n\z/, output)
      assert_match(reason, output)
      refute_path_exists sandbox("refused")
    end
    assert_match(/already exists/, fail!(RbConfig.ruby, script, "wire_counter", written))
  end
end
