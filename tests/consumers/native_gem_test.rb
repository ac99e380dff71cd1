# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# The native gem: installing it needs no compiler, and running it only the C and C++ runtimes.

require_relative "support/installed_gem"

class NativeGemTest < ConsumerTest
  include GemHome
  include InstalledGem

  # libgcc_s and the loader belong to the runtime, libm and libpthread to libc; without libz, RubyGems could not install it.
  RUNTIME = /\A(lib(c|m|pthread|stdc\+\+|gcc_s|z)|ld-linux[\w-]*)\.so/

  def packed = native_gem

  def installing = { "PATH" => "/nowhere" }

  def test_only_the_ruby_it_was_built_for_can_install_it
    spec = Gem::Package.new(packed).spec
    assert spec.required_ruby_version.satisfied_by?(Gem.ruby_version)
    major, minor = RbConfig::CONFIG["ruby_version"].split(".").map(&:to_i)
    ["#{major}.#{minor + 1}.0", "#{major}.#{minor + 1}.0.dev", "#{major - 1}.9.9", "#{major + 1}.0.0"].each do |other|
      refute spec.required_ruby_version.satisfied_by?(Gem::Version.new(other)), other
    end
    assert Gem::Platform.match_spec?(spec), "#{spec.platform} is this machine"
    assert_empty spec.extensions
  end

  # As `gem "kino", path: "vendor/kino"` of a Gemfile reads it.
  def test_unpacked_it_is_a_path_for_bundler
    gem!("unpack", packed, "--target", sandbox("vendor"))
    spec = Gem::Package.new(packed).spec
    unpacked = Gem::Specification.load(File.join(sandbox("vendor"), spec.full_name, "kino.gemspec"))
    %i[full_name executables bindir files required_ruby_version dependencies].each { |part| assert_equal spec.public_send(part), unpacked.public_send(part), part }
  end

  def test_it_needs_only_the_runtime_libraries
    needed = run!("readelf", "-d", File.join(installed, "lib/kino_native.so")).scan(/NEEDED.*\[(.+)\]/).flatten
    refute_empty needed
    bundled = Dir[File.join(File.realpath(installed), "lib/kino_{nghttp2,wslay}/*")]
    assert_empty needed.grep_v(RUNTIME) - bundled.map { |path| File.basename(path) }
    loaded = run!(RbConfig.ruby, "-e", 'require "kino_native"; puts File.read("/proc/self/maps").scan(%r{/\S+})',
                  env: { "RUBYLIB" => File.join(installed, "lib") }).lines(chomp: true)
    assert_empty bundled - loaded
  end
end
