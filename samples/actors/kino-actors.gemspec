# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = "kino-actors"
  spec.version = "0.1.0"
  spec.summary = "Actors, supervisors and registries in Ractors and Threads"
  spec.authors = ["You"]
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.1"
  spec.files = Dir["*.{cpp,hpp,md}", "lib/**/*.rb", "extconf.rb"]
  # kino and kino-collections are installed from their files first: a dependency by name could install other gems.
  spec.extensions = ["extconf.rb"]
end
