# frozen_string_literal: true

require_relative "support/ruby_test"
require "conversions"

# A conversion gives C++ the same value or raises an error with the reason.
class ConversionsTest < RubyTest
  WIDTHS = [8, 16, 32, 64].flat_map { |bits|
    [["int#{bits}", -(1 << (bits - 1))..(1 << (bits - 1)) - 1], ["uint#{bits}", 0..(1 << bits) - 1]]
  }.to_h.merge("long_long" => -(1 << 63)..(1 << 63) - 1, "unsigned_long_long" => 0..(1 << 64) - 1).freeze
  NOT_INTEGERS = [nil, true, 1.0, "3", :three, 3r, [3], Class.new { def to_int = 3 }.new].freeze

  WIDTHS.each do |name, range|
    define_method("test_#{name}_accepts_exactly_its_range") do
      [range.begin, range.begin + 1, 0, 1, range.end - 1, range.end].each do |number|
        assert_equal number, Conversions.public_send(name, number)
      end
      [range.begin - 1, range.end + 1, 1 << 62, -(1 << 62), 1 << 64, -(1 << 64), 1 << 300, -(1 << 300)].each do |number|
        next if range.cover?(number)

        error = assert_raises(RangeError, number.to_s) { Conversions.public_send(name, number) }
        assert_includes error.message, "is out of range #{range}"
      end
      NOT_INTEGERS.each { |other| assert_raises(TypeError) { Conversions.public_send(name, other) } }
    end

    define_method("test_#{name}_agrees_with_ruby_about_any_integer") do
      chance = Random.new(42)
      times(2000).times do
        number = chance.rand(-(1 << chance.rand(1..70))..(1 << chance.rand(1..70)))
        result = begin
          Conversions.public_send(name, number)
        rescue RangeError
          :refused
        end
        assert_equal range.cover?(number) ? number : :refused, result
      end
    end
  end

  def test_the_error_names_the_wrong_class
    assert_equal "kino: expected an Integer, not String",
      assert_raises(TypeError) { Conversions.int32("3") }.message
    assert_equal "kino: expected a String, not nil", assert_raises(TypeError) { Conversions.string(nil) }.message
  end

  def test_doubles_accept_integers_and_floats
    [0.0, 1.5, -1e300, 3, 1 << 80].each { |number| assert_equal number.to_f, Conversions.double(number) }
    assert_predicate Conversions.double(Float::NAN), :nan?
    [nil, "1.5", 3r, true].each { |other| assert_raises(TypeError) { Conversions.double(other) } }
  end

  def test_booleans_accept_only_true_and_false
    assert_same true, Conversions.bool(true)
    assert_same false, Conversions.bool(false)
    [nil, 0, "true"].each { |other| assert_raises(TypeError) { Conversions.bool(other) } }
  end

  def test_strings_keep_their_bytes
    ["", "grüß", "a\0b", "\xff".b].each do |text|
      copy = Conversions.string(text)
      assert_equal [text.b, Encoding::UTF_8], [copy.b, copy.encoding]
      assert_equal [text.b, Encoding::BINARY], [Conversions.binary(text), Conversions.binary(text).encoding]
      refute_same text, copy
    end
    assert_equal "grüß", Conversions.literal
    [nil, :symbol, 1, Class.new { def to_str = "x" }.new].each do |other|
      assert_raises(TypeError) { Conversions.string(other) }
      assert_raises(TypeError) { Conversions.binary(other) }
    end
  end

  def test_nil_becomes_an_empty_optional
    assert_nil Conversions.optional(nil)
    assert_equal(-128, Conversions.optional(-128))
    assert_raises(RangeError) { Conversions.optional(128) }
    assert_raises(TypeError) { Conversions.optional("") }
  end
end
