# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# ruby gem_build.rb STAGE DIRECTORY: packs STAGE, which has a kino.gemspec, into a gem in DIRECTORY.

require "rubygems/package"

stage, directory = ARGV
Gem::DefaultUserInteraction.ui = Gem::SilentUI.new # without the warning about a missing home page
Dir.chdir(stage)
spec = Gem::Specification.load("kino.gemspec")
path = File.join(directory, spec.file_name)
Gem::Package.build(spec, false, false, path)
puts path
