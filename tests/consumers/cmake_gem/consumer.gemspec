# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = "consumer"
  spec.version = "0.1.0"
  spec.summary = "A gem whose extension CMake builds"
  spec.authors = ["The kino authors"]
  spec.license = "MIT"
  spec.files = %w[ext/CMakeLists.txt ext/consumer.cpp]
  spec.extensions = ["ext/CMakeLists.txt"]
end
