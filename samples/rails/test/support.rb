# frozen_string_literal: true

require "minitest/autorun"
require "open3"

# A test of what a Ruby process of its own does: repairs change it for good.
class ChildTest < Minitest::Test
  RUBY = ENV.fetch("RUBY", "ruby")
  # Ractors that run blocks, which everything here needs.
  READY = Ractor.respond_to?(:shareable_proc)

  def need_ractors
    skip "Ruby #{RUBY_VERSION} has no Ractor.shareable_proc" unless READY
  end

  # What the program prints with p as its last line.
  def child(program, *flags)
    output, error, status = Open3.capture3(RUBY, "-W:no-experimental", *flags, "-e", program)
    assert status.success?, "#{error}\n#{output}"
    output.lines.last.chomp
  end

  def child_values(...) = eval(child(...)) # what p has written
end
