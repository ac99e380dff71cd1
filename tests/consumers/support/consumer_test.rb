# frozen_string_literal: true

# SPDX-License-Identifier: MIT

require "fileutils"
require "minitest/autorun"
require "net/http"
require "open3"
require "rbconfig"
require "timeout"
require "tmpdir"

# A test that uses kino like another project: in a directory outside the repository, with commands that do not have the
# load path and the gems of the tests.
class ConsumerTest < Minitest::Test
  ROOT = File.expand_path("../../..", __dir__)
  HERE = File.join(ROOT, "tests/consumers")
  BUILD = ENV.fetch("KINO_BUILD_DIR")
  CMAKE = ENV.fetch("KINO_CMAKE")
  COMPILER = ENV.fetch("KINO_CXX")
  GEM_CACHES = [ENV["GEM_HOME"], *Gem.path].compact.map { |home| File.join(home, "cache") }.uniq
  EXPECTED = "kino #{File.read(File.join(ROOT, "include/kino/version.hpp")).scan(/_(?:MAJOR|MINOR|PATCH) (\d+)$/).join(".")}: "
  VERSION = EXPECTED[/\d[\d.]+/]

  # Whether ccache is installed; it saves repeated compilations.
  WRAPPED = File.executable?(File.join("/usr/lib/ccache", File.basename(COMPILER)))

  ENVIRONMENT = {
    "RUBYLIB" => nil, "RUBYOPT" => nil, "GEM_HOME" => nil, "GEM_PATH" => nil, "BUNDLE_GEMFILE" => nil,
    "MAKEFLAGS" => "-j2", "NO_COLOR" => "1", "RUBY" => RbConfig.ruby,
    "CXX" => WRAPPED ? File.basename(COMPILER) : COMPILER,
    "PATH" => [*("/usr/lib/ccache" if WRAPPED), ENV.fetch("PATH")].join(":"), "CCACHE_NOHASHDIR" => "1"
  }.freeze

  # One directory for all tests of a file.
  def self.sandbox
    @@sandbox ||= begin # rubocop:disable Style/ClassVars -- one process runs one file
      directory = File.realpath(Dir.mktmpdir("kino-consumer-"))
      Minitest.after_run { FileUtils.rm_rf(directory) }
      directory
    end
  end

  # Defines a method that runs the block once and returns its value.
  def self.once(name, &block)
    made = nil
    define_method(name) { made ||= instance_exec(&block) }
  end

  def self.run_command(command, env: {}, chdir: sandbox)
    Open3.capture2e(ENVIRONMENT.merge("CCACHE_BASEDIR" => sandbox, **env), *command, chdir: chdir)
  end

  def sandbox(*path) = File.join(self.class.sandbox, *path)

  # Runs a command that must succeed; returns its output.
  def run!(*command, **options)
    output, status = self.class.run_command(command, **options)
    assert status.success?, "#{command.join(" ")}\nended with #{status} and printed:\n#{output}"
    output
  end

  # Runs a command that must fail; returns its output.
  def fail!(*command, **options)
    output, status = self.class.run_command(command, **options)
    refute status.success?, "#{command.join(" ")}\nsucceeded and printed:\n#{output}"
    output
  end

  def ruby!(*arguments, **options) = run!(RbConfig.ruby, "-W:no-experimental", *arguments, **options)

  def gem!(*arguments, **options)
    run!(RbConfig.ruby, "-rrubygems/gem_runner", "-e", "Gem::GemRunner.new.run(ARGV)", "--", *arguments, **options)
  end

  # Copies a project of this directory, to build in the copy.
  def project(name, copy_as: name)
    directory = sandbox(copy_as)
    FileUtils.cp_r(File.join(HERE, name), directory)
    directory
  end

  def cmake!(source, *options, env: {})
    build = "#{source}-build"
    run!(CMAKE, "-S", source, "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DKINO_RUBY=#{RbConfig.ruby}", *options, env: env)
    run!(CMAKE, "--build", build, env: env)
    build
  end

  # Other extensions can see only this one's entry point.
  def assert_exports_only_init(library)
    exported = run!("nm", "-D", "--defined-only", library).lines.map { |line| line.split.last }
    # Development builds of Ruby also look up this one.
    assert_equal ["Init_#{File.basename(library, ".*")}"], exported - ["ruby_abi_version"]
  end

  def assert_runs(directory, script: File.join(HERE, "extension/run.rb"), env: {})
    assert_equal "#{EXPECTED}42\n", ruby!("-I", directory, script, env: env)
    assert_exports_only_init(File.join(directory, "consumer.#{RbConfig::CONFIG["DLEXT"]}"))
  end
end
