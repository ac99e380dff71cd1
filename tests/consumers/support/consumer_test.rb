# frozen_string_literal: true

# SPDX-License-Identifier: MIT

require "fileutils"
require "minitest/autorun"
require "net/http"
require "open3"
require "rbconfig"
require "timeout"
require "tmpdir"

# A test that uses kino as a stranger's project does: in a directory far from the repository, with commands that
# see no load path and no gems of the tests.
class ConsumerTest < Minitest::Test
  ROOT = File.expand_path("../../..", __dir__)
  HERE = File.join(ROOT, "tests/consumers")
  BUILD = ENV.fetch("KINO_BUILD_DIR")
  CMAKE = ENV.fetch("KINO_CMAKE")
  COMPILER = ENV.fetch("KINO_CXX")
  GEM_CACHES = [ENV["GEM_HOME"], *Gem.path].compact.map { |home| File.join(home, "cache") }.uniq
  EXPECTED = "kino #{File.read(File.join(ROOT, "include/kino/version.hpp")).scan(/_(?:MAJOR|MINOR|PATCH) (\d+)$/).join(".")}: "
  VERSION = EXPECTED[/\d[\d.]+/]

  # What is built again and again is compiled once, where a directory has the compiler wrapped.
  WRAPPED = File.executable?(File.join("/usr/lib/ccache", File.basename(COMPILER)))

  STRANGER = {
    "RUBYLIB" => nil, "RUBYOPT" => nil, "GEM_HOME" => nil, "GEM_PATH" => nil, "BUNDLE_GEMFILE" => nil,
    "MAKEFLAGS" => "-j2", "NO_COLOR" => "1", "RUBY" => RbConfig.ruby,
    "CXX" => WRAPPED ? File.basename(COMPILER) : COMPILER,
    "PATH" => [*("/usr/lib/ccache" if WRAPPED), ENV.fetch("PATH")].join(":"), "CCACHE_NOHASHDIR" => "1"
  }.freeze

  # One directory for a whole file; what its tests need in common is made once.
  def self.sandbox
    @@sandbox ||= begin # rubocop:disable Style/ClassVars -- one process runs one file
      directory = File.realpath(Dir.mktmpdir("kino-consumer-"))
      Minitest.after_run { FileUtils.rm_rf(directory) }
      directory
    end
  end

  def self.once(name, &block)
    made = nil
    define_method(name) { made ||= instance_exec(&block) }
  end

  def self.run_command(command, env: {}, chdir: sandbox)
    Open3.capture2e(STRANGER.merge("CCACHE_BASEDIR" => sandbox, **env), *command, chdir: chdir)
  end

  def sandbox(*path) = File.join(self.class.sandbox, *path)

  # Runs to success; what it printed.
  def run!(*command, **options)
    output, status = self.class.run_command(command, **options)
    assert status.success?, "#{command.join(" ")}\nended with #{status} and printed:\n#{output}"
    output
  end

  # Runs to failure; what it printed.
  def fail!(*command, **options)
    output, status = self.class.run_command(command, **options)
    refute status.success?, "#{command.join(" ")}\nsucceeded and printed:\n#{output}"
    output
  end

  def ruby!(*arguments, **options) = run!(RbConfig.ruby, "-W:no-experimental", *arguments, **options)

  def gem!(*arguments, **options)
    run!(RbConfig.ruby, "-rrubygems/gem_runner", "-e", "Gem::GemRunner.new.run(ARGV)", "--", *arguments, **options)
  end

  # A copy of a project below this directory, to be built in.
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

  # Other extensions see nothing of this one but its entry point.
  def assert_exports_only_init(library)
    exported = run!("nm", "-D", "--defined-only", library).lines.map { |line| line.split.last }
    # Development builds of Ruby look for this one, too.
    assert_equal ["Init_#{File.basename(library, ".*")}"], exported - ["ruby_abi_version"]
  end

  def assert_runs(directory, script: File.join(HERE, "extension/run.rb"), env: {})
    assert_equal "#{EXPECTED}42\n", ruby!("-I", directory, script, env: env)
    assert_exports_only_init(File.join(directory, "consumer.#{RbConfig::CONFIG["DLEXT"]}"))
  end
end
