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

# A test of repairs.
class RepairTest < ChildTest
  def setup
    need_ractors
  end

  # +ruby+ defines the stand-in and, in +use+, is what a Ractor does with it.
  def assert_repairs(repair, use, ruby, expected_error, *libraries)
    before, needed, after = child_values(<<~PROGRAM, *libraries.map { |library| "-r#{library}" })
      #{ruby}
      require "kino/rails/repairs"
      repair = KinoRails::Repairs::#{repair}
      before = KinoRails::Probe.error { #{use} }
      needed = repair.needed?
      repair.apply
      p [before, needed, KinoRails::Probe.error { #{use} }]
    PROGRAM
    assert_nil after
    assert_equal !before.nil?, needed, "whether it is needed, and whether it says so"
    skip "what is loaded does not need it any more" if before.nil?

    assert_match expected_error, before
  end
end
