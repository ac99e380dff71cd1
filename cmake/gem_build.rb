# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# ruby gem_build.rb STAGE DIRECTORY: packs STAGE, which has a kino.gemspec, into a gem in DIRECTORY.

require "fileutils"
require "pathname"
require "rubygems/package"

# The pages of the gem: README.md, and in docs/ those that it leads to, and those that they lead to. Links are those of the
# gem; what is not in it is no link.
class Pages
  ROOT = Pathname(__dir__).parent
  LINK = /\[((?:[^\[\]\\]|\\.)*)\]\(([^)\s#]+)(#[^)\s]*)?\)/.freeze

  def initialize(stage)
    @stage = Pathname(stage)
    @written = []
  end

  # +source+: a page of the checkout.
  def write(source)
    place = place_of(source)
    return if @written.include?(place)

    @written << place
    text = source.read(encoding: "utf-8").gsub(LINK) { link($&, $1, $2, $3, source) }
    FileUtils.mkdir_p(@stage.join(place).dirname)
    @stage.join(place).write(text)
  end

  private

  def link(whole, label, target, anchor, source)
    return whole if target.match?(/\A\w+:/)

    path = source.dirname.join(target)
    place = place_of(path) or return label
    write(path) if place.to_s.start_with?("docs/")
    "[#{label}](#{place.relative_path_from(place_of(source).dirname)}#{anchor})"
  end

  # Where a file of the checkout is in the gem; nil: it is not.
  def place_of(path)
    place = path.relative_path_from(ROOT)
    place = place.relative_path_from("samples/server") if place.to_s.start_with?("samples/server/")
    place if place.to_s.match?(%r{\Adocs/[\w.]+\.md\z}) || @stage.join(place).exist? && !place.to_s.start_with?("..")
  end
end

stage, directory = ARGV
Pages.new(stage).write(Pages::ROOT.join("samples/server/README.md"))
Gem::DefaultUserInteraction.ui = Gem::SilentUI.new # without the warning about a missing home page
Dir.chdir(stage)
spec = Gem::Specification.load("kino.gemspec")
path = File.join(directory, spec.file_name)
Gem::Package.build(spec, false, false, path)
puts path
