# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = "hello_ractor"
  spec.version = "0.1.0"
  spec.summary = "A native thread asks, Ractors answer"
  spec.authors = ["You"]
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.1"
  spec.files = %w[extconf.rb hello_ractor.cpp]
  # kino is installed from its file first: a dependency by name would install another gem.
  spec.extensions = ["extconf.rb"]
end
