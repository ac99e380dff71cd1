# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# The source gem: installing it needs only a compiler.

require_relative "support/installed_gem"

class GemTest < ConsumerTest
  include GemHome
  include InstalledGem

  def packed = source_gem

  def installing = {}

  def test_any_supported_ruby_can_install_it
    spec = Gem::Package.new(packed).spec
    assert_equal [Gem::Requirement.new(">= 3.1"), "ruby"], [spec.required_ruby_version, spec.platform]
  end

  # mkmf used only directories of Ruby, the gem and the compiler.
  def test_the_extension_was_compiled_only_from_the_gem
    makefile = Dir[File.join(gems["GEM_HOME"], "extensions/**/kino-#{VERSION}/mkmf.log")].first
    included = File.read(makefile).scan(/-(?:I|isystem) ?(\S+)/).flatten.map { |path| path.delete("\"'") }.uniq
    others = included.reject do |path|
      path.start_with?(gems["GEM_HOME"], RbConfig::CONFIG["rubyhdrdir"], RbConfig::CONFIG["rubyarchhdrdir"], ".")
    end
    assert_empty others
  end
end
