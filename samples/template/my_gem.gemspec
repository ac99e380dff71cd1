# frozen_string_literal: true

require_relative "lib/my_gem/version"

Gem::Specification.new do |spec|
  spec.name = "my_gem"
  spec.version = MyGem::VERSION
  spec.summary = "Native threads ask, Ractors answer"
  spec.authors = ["Your name"]
  # Those of vendor/kino are BSD-2-Clause (concurrentqueue.h) and MIT.
  spec.licenses = %w[MIT BSD-2-Clause]
  spec.required_ruby_version = ">= 3.1"
  spec.files = Dir.glob("{ext,lib,vendor}/**/*", base: __dir__).select { |path| File.file?(File.join(__dir__, path)) } +
               %w[LICENSE README.md]
  spec.extensions = ["ext/my_gem/extconf.rb"]
  spec.metadata["rubygems_mfa_required"] = "true"
end
