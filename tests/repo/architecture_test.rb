# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# The files, functions and layers that docs/architecture.md names exist.

require "minitest/autorun"

class ArchitectureTest < Minitest::Test
  ROOT = File.expand_path("../..", __dir__)
  PLACES = ["", "samples/server/ext/kino/", "samples/server/lib/kino/"].freeze
  PAGE = File.read("#{ROOT}/docs/architecture.md")

  def find(path) = PLACES.map { |place| File.join(ROOT, place, path) }.find { |full| File.exist?(full) }

  def test_every_file_and_folder_exists
    paths = PAGE.scan(%r{`([\w./]+/[\w./]+|[\w/]+\.(?:rb|cpp|hpp))`}).flatten.uniq
    assert_operator paths.size, :>, 30
    assert_empty paths.reject { |path| find(path) }
  end

  # `file` `function`, with a line break between them at most.
  def test_every_function_is_in_the_file_that_is_named_before_it
    pairs = PAGE.scan(/`([\w.\/]+\.(?:cpp|hpp|rb))`\s+`(\w+)`/)
    assert_operator pairs.size, :>, 25
    missing = pairs.reject do |path, name|
      code = File.read(find(path))
      path.end_with?(".rb") ? code.match?(/def (self\.)?#{name}\b/) : code.match?(/\b(\w+::)?#{name}\(.*[^;]\s*$/)
    end
    assert_empty missing
  end

  def test_every_layer_has_its_row
    layers = Dir.children("#{ROOT}/samples/server/ext/kino").select { |name| File.directory?("#{ROOT}/samples/server/ext/kino/#{name}") }
    rows = PAGE.scan(/^\| `(\w+)` \| .* \| .* \|$/).flatten
    assert_empty layers - rows
  end
end
