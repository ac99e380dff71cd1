# frozen_string_literal: true

# SPDX-License-Identifier: MIT

require_relative "consumer_test"
require "rubygems/package"

# ctest takes this line for a skipped test.
lacks = File.join(ConsumerTest::BUILD, "gem/lacks.txt")
if File.exist?(lacks)
  $stdout.write(File.read(lacks))
  $stdout.flush
  exit! 0
end

# A GEM_HOME that contains only kino and its dependencies. A test class defines `packed`, the gem to install, and
# `installing`, the environment during the installation.
module GemHome
  def self.included(test)
    test.once(:gems) do
      assert_path_exists packed, "cmake --build #{ConsumerTest::BUILD} --target gem packs it"
      only_here = { "GEM_HOME" => sandbox("gems"), "GEM_PATH" => sandbox("gems") }
      needed = %w[rack-3.*.gem logger-1.*.gem].filter_map do |name|
        ConsumerTest::GEM_CACHES.flat_map { |cache| Dir[File.join(cache, name)] }.first
      end
      gem!("install", "--no-document", *(["--local", *needed] if needed.any?), packed, env: only_here.merge(installing))
      only_here
    end
  end

  def installed = File.join(gems["GEM_HOME"], "gems", File.basename(packed, ".gem"))

  def source_gem = File.join(ConsumerTest::BUILD, "gem/kino-#{ConsumerTest::VERSION}.gem")

  def native_gem = Dir[File.join(ConsumerTest::BUILD, "gem/kino-#{ConsumerTest::VERSION}-*.gem")].first.to_s
end
