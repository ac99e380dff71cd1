# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# Duplicated information must agree, and every file must have its required parts.

require "minitest/autorun"
require "open3"

class ConsistencyTest < Minitest::Test
  ROOT = File.expand_path("../..", __dir__)

  def read(path) = File.read(File.join(ROOT, path))

  def files(*patterns) = Dir.glob(patterns, base: ROOT).sort

  def version
    read("include/kino/version.hpp").scan(/^#define KINO_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$/).join(".")
  end

  # Programs leave files where they are started; .gitignore need not know them all.
  def test_the_repository_has_no_stray_files
    listed, status = Open3.capture2("git", "-C", ROOT, "ls-files", "-z", err: File::NULL)
    skip "this is no clone" unless status.success? && !listed.empty?
    top = listed.split("\0").map { |path| path[%r{\A[^/]+}] }.uniq
    expected = %w[benchmarks cmake docs include samples tests CMakeLists.txt CMakePresets.json README.md LICENSE CHANGELOG.md
                  CONTRIBUTING.md SECURITY.md]
    assert_empty top.grep_v(/\A\./) - expected
    assert_empty listed.split("\0").grep(/\.(log|o|so|orig|rej|gem)\z/)
  end

  def test_the_newest_release_in_the_changelog_is_not_ahead_of_the_version
    assert_match(/\A\d+\.\d+\.\d+\z/, version)
    headings = read("CHANGELOG.md").scan(/^## \[(.+?)\]/).flatten
    assert_equal "Unreleased", headings.first
    headings.drop(1).first(1).each do |released|
      assert_operator Gem::Version.new(released), :<=, Gem::Version.new(version)
    end
  end

  def test_cmakelists_names_every_header_once
    listed = read("CMakeLists.txt").scan(%r{^\s+(include/kino/\S+?\.hpp)\)?$}).flatten
    assert_equal files("include/kino/**/*.hpp"), listed.sort,
      "each header belongs into the FILE_SET of kino_core (no Ruby) or kino in CMakeLists.txt"
  end

  def test_every_header_has_its_licence_and_guard
    files("include/kino/**/*.hpp").each do |path|
      assert read(path).start_with?("// SPDX-License-Identifier: MIT\n"), "#{path}: no SPDX line first"
      assert_includes read(path), "\n#pragma once\n", path
    end
  end

  def test_scripts_are_executable
    files("tests/{run,matrix}", ".ci/run", "samples/*/run").each do |path|
      assert File.executable?(File.join(ROOT, path)), "#{path} is not executable"
    end
  end

  # Samples are meant to be copied, so they use only the public API.
  def test_no_sample_uses_internals_of_the_library
    sources = files("samples/**/*.{hpp,cpp,md}", "README.md", "docs/gems.md")
    refute_empty sources.grep(%r{samples/server/ext})
    uses = sources.flat_map do |path|
      File.foreach(File.join(ROOT, path)).with_index(1).filter_map do |line, number|
        "#{path}:#{number}: #{line.strip}" if line.match?(%r{\bdetail::|\bkino/detail/|namespace\s[^;]*\bdetail\b})
      end
    end
    assert_empty uses
  end

  # Each machine's configuration determines which registries it uses.
  def test_no_file_contains_the_host_name_of_a_registry
    hosts = %w[rubygems registry.npmjs crates pypi].map { |name| /\b#{Regexp.escape(name)}\.(?:org|io)\b/ }
    named = files("**/*", ".ci/*", "samples/template/{.*,.github/**/*}").reject { |path| path.start_with?("build") }.select do |path|
      file = File.join(ROOT, path)
      File.file?(file) && path != "tests/repo/consistency_test.rb" && File.binread(file).match?(Regexp.union(hosts))
    end
    assert_empty named
  end

  # A port that was free a moment ago may be another program's when a server listens on it, which fails one run of hundreds.
  def test_no_test_tells_a_server_a_port_that_is_merely_free
    asked = /TCPServer\.(?:open|new)\([^)]*\b0\)(?: \{| do\b|\.|&\.)/
    found = files("tests/**/*.rb", "samples/**/*.rb").select { |path| File.read(File.join(ROOT, path)).match?(asked) }
    assert_empty found, "a server that listens on port 0 says which one it has; Ports.reserve keeps one for a server that must be told"
  end
end
