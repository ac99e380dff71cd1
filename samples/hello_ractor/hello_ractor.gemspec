# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = "hello_ractor"
  spec.version = "0.1.0"
  spec.summary = "A native thread asks, Ractors answer"
  spec.authors = ["You"]
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.1"
  spec.files = %w[extconf.rb hello_ractor.cpp]
  spec.extensions = ["extconf.rb"]
  spec.add_dependency "kino", "~> 0.1.0"
end
