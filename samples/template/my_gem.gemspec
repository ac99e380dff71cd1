# frozen_string_literal: true

require_relative "lib/my_gem/version"

Gem::Specification.new do |spec|
  spec.name = "my_gem"
  spec.version = MyGem::VERSION
  spec.summary = "Native threads ask, Ractors answer"
  spec.authors = ["Your name"]
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.1"
  spec.files = Dir.glob("{ext,lib}/**/*.{rb,cpp,hpp}", base: __dir__) + ["README.md"]
  spec.extensions = ["ext/my_gem/extconf.rb"]

  # Its headers are compiled in. Releases with the same second number are compatible.
  spec.add_dependency "kino", "~> 0.1.0"
  spec.metadata["rubygems_mfa_required"] = "true"
end
