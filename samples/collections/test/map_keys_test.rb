# frozen_string_literal: true

require_relative "support"

# Which keys of a Kino::Map are equal, and keys whose own methods raise, wait, or change the map.
class MapKeysTest < CollectionsTest
  # A key whose hash and eql? do what the test says.
  class Key
    attr_reader :number

    def initialize(number, hash: 7, &equal)
      @number = number
      @hash = hash
      @equal = equal
      freeze
    end

    def hash = @hash.respond_to?(:call) ? @hash.call : @hash
    def eql?(other) = @equal ? @equal.call(other) : number == other.number
  end

  # All pairs of keys of different types and encodings: the map finds one by the other exactly if a Hash does.
  def test_keys_are_equal_as_in_a_hash
    big = 2**80
    nan = Float::NAN
    binary = "\xE9".b.freeze
    keys = [0, 1, -1, 2**62, big, 2**80, 0.0, -0.0, 1.0, 1.5, 1e300, nan, Float::INFINITY, 1r, 1i, nil, true, false, :a,
            "a#{object_id}".to_sym, "a", "", "".b, "a".encode("UTF-16LE"), "a\0", "a".b, "é", binary, "é".b,
            "é".encode("ISO-8859-1"), Class.new(String).new("a"), [1], [1.0], ["a"], [], [nan], String, (1..2),
            colliding(1), colliding(1), colliding(2)].each { |key| Ractor.make_shareable(key) }
    keys.each do |stored|
      map = Kino::Map.new
      map[stored] = 1
      keys.each do |key|
        pair = [stored, key].map { |each| "#{each.class} #{each.inspect}" }
        assert_equal({ stored => 1 }.key?(key), map.key?(key), pair.join(" and "))
      end
    end
  end

  def test_a_string_key_is_copied_unless_it_is_frozen
    map = Kino::Map.new
    map[key = +"text"] = 1
    key << "more"
    assert_equal 1, map[+"text"]
    assert_nil map[key]
    map.update(other = +"other") { other << "changed" and 2 }
    assert_equal 2, map["other"]
    assert_equal(3, map.compute_if_absent(third = +"third") { third.clear and 3 })
    assert_equal 3, map["third"]
    map[frozen = "frozen"] = 2
    assert_same frozen, map.keys.find { |each| each == frozen }
  end

  def test_hash_and_eql_may_raise_and_use_the_map
    map = map_of(colliding(1) => 1, colliding(2) => 2)
    assert_raises(IOError) { map[Key.new(1, hash: -> { raise IOError })] }
    assert_raises(IOError) { map[Key.new(1) { raise IOError }] }
    assert_raises(TypeError) { map[Key.new(1, hash: "no number")] }
    assert_equal 1, map[Key.new(1) { |other| map[colliding(other.number + 10)] = 0 or other.number == 1 }]
    assert_equal 3, map.size
    # A candidate that its own comparison removes: the search begins again.
    assert_nil map[Key.new(1) { |other| map.delete(other) && true }]
    assert_empty map
    map[colliding(1)] = :here
    assert_equal :here, map[Key.new(1)]
  end

  def test_an_endless_eql_can_be_killed_and_stops_nobody
    map = map_of(colliding(1) => 1)
    gate = Thread::Queue.new
    stuck = Thread.new { map[Key.new(1) { gate.pop }] }
    await { gate.num_waiting == 1 }
    assert_equal 1, map[colliding(1)]
    map[colliding(2)] = 2
    assert_equal({ colliding(1) => 1, colliding(2) => 2 }, map.to_h)
    stuck.kill.join
    assert_equal 2, map.delete(colliding(2))
    assert_raises(Timeout::Error) { Timeout.timeout(0.01) { map[Key.new(1) { sleep }] } }
  end
end
