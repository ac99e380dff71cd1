# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = "kino-rails"
  spec.version = "0.1.0"
  spec.summary = "Runs a Rails application in Ractors, on the server kino"
  spec.authors = ["You"]
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.1"
  spec.files = Dir["README.md", "lib/**/*.rb"]
  # kino is installed from its file first: a dependency by name would install another gem.
  spec.add_dependency "railties", ">= 7.1"
end
