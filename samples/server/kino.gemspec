# frozen_string_literal: true

require_relative "lib/kino/version"

Gem::Specification.new do |spec|
  spec.name = "kino"
  spec.version = Kino::VERSION
  spec.summary = "A Rack server whose handlers run in parallel Ractors"
  spec.description = "Native threads read and write HTTP; handlers run in Ractors, or in Threads when the app " \
                     "cannot be shared. The reference server of the kino C++ library."
  spec.authors = ["The kino authors"]
  spec.license = "MIT"
  # 3.1 is the first Ruby it is tested on.
  spec.required_ruby_version = ">= 3.1"

  spec.files = Dir.chdir(__dir__) do
    Dir["lib/**/*.rb", "ext/**/*.{rb,cpp,hpp,c,h}", "include/**/*.hpp", "examples/*.ru", "exe/*", "README.md", "LICENSE*"]
  end
  spec.bindir = "exe"
  spec.executables = ["kino"]
  spec.require_paths = ["lib"]
  spec.extensions = ["ext/kino/extconf.rb"]

  spec.add_dependency "rack", ">= 3.0", "< 4"
  spec.metadata["rubygems_mfa_required"] = "true"
end
