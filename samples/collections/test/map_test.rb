# frozen_string_literal: true

require_relative "support"

# Kino::Map behaves like a Hash, in all Ractors.
class MapTest < CollectionsTest
  def test_it_is_a_hash_table
    map = Kino::Map.new
    assert_predicate map, :empty?
    assert_nil map[:a]
    assert_equal 1, map[:a] = 1
    map.store("b", nil)
    assert_equal [1, nil, 2, 2], [map[:a], map["b"], map.size, map.length]
    assert_equal [true, true, false], [map.key?("b"), map.include?(:a), map.has_key?(nil)]
    assert_equal({ :a => 1, "b" => nil }, map.to_h)
    assert_equal [[:a, 1], ["b", nil]], map.each.to_a.sort_by { |key, _| key.to_s }
    assert_equal [:a, "b"], map.keys.sort_by(&:to_s)
    assert_equal [nil, 1], map.values.sort_by(&:to_i)
    assert_equal 1, map.delete(:a)
    assert_nil map.delete(:a)
    assert_equal "#<Kino::Map 1 entries>", map.inspect
    assert Ractor.shareable?(map)
  end

  def test_fetch
    map = map_of(a: nil)
    assert_nil map.fetch(:a)
    assert_equal 5, map.fetch(:b, 5)
    assert_equal(:b, map.fetch(:b) { |key| key })
    error = assert_raises(KeyError) { map.fetch(:b) }
    assert_equal ["key not found: :b", map, :b], [error.message, error.receiver, error.key]
    assert_raises(ArgumentError) { map.fetch(:b, 1, 2) }
  end

  def test_keys_and_values_must_be_shareable_unless_copies_were_asked_for
    map = Kino::Map.new
    error = assert_raises(TypeError) { map[1] = [+""] }
    assert_match(/value of a map must be shareable, and this Array is not.*make_shareable/, error.message)
    assert_match(/the key of a map .* Array/, assert_raises(TypeError) { map[[+""]] = 1 }.message)
    assert_raises(TypeError) { map.update(1) { +"" } }
    assert_raises(TypeError) { map.compute_if_absent(1) { +"" } }
    assert_empty map
    assert_nil map[[+""]]
    copying = Kino::Map.new(copy: true)
    copying[[+"key"]] = value = [+"value"]
    assert_equal [["key"], ["value"]], copying.each.first
    assert Ractor.shareable?(copying[[+"key"]])
    refute_predicate value.first, :frozen?
    stored = copying.update(1) { [+"new"] }
    assert_same stored, copying[1]
    assert_same copying.compute_if_absent(2) { [+"new"] }, copying[2]
    assert_raises(StandardError) { copying[1] = Thread.current }
  end

  def test_update_and_compute_if_absent
    map = Kino::Map.new
    assert_equal(1, map.update(:a) { |value| value.to_i + 1 })
    assert_equal(2, map.update(:a) { |value| value + 1 })
    assert_equal(3, map.compute_if_absent(:b) { |key| key == :b ? 3 : 0 })
    assert_equal(3, map.compute_if_absent(:b) { flunk })
    assert_raises(IOError) { map.update(:a) { raise IOError } }
    assert_raises(IOError) { map.compute_if_absent(:c) { raise IOError } }
    assert_equal(:left, map.update(:a) { break :left })
    assert_raises(LocalJumpError) { map.update(:a) }
    assert_equal({ a: 2, b: 3 }, map.to_h)
    # A block that changes what it updates is called again.
    calls = 0
    assert_equal(11, map.update(:a) { |value| (calls += 1) == 1 ? map[:a] = 10 : value + 1 })
    assert_equal 2, calls
    assert_equal(:other, map.compute_if_absent(:d) { map[:d] = :other and :own })
    calls = 0
    assert_equal(:gone, map.update(:d) { |value| value ? map.delete(:d) && :kept : :gone })
  end

  def test_compare_and_set
    map = map_of(a: "old")
    refute map.compare_and_set(:a, +"old", 1)
    assert map.compare_and_set(:a, map[:a], 1)
    refute map.compare_and_set(:b, nil, 1)
    assert_equal({ a: 1 }, map.to_h)
  end

  def test_invalid_calls_are_rejected
    assert_raises(TypeError) { Kino::Map.new.dup }
    assert_raises(TypeError) { Marshal.dump(Kino::Map.new) }
    assert_raises(NoMethodError) { Kino::Map.new.contents }
    assert_raises(ArgumentError) { Kino::Map.new(1) }
  end

  # Random calls in one thread, compared with a Hash; all keys collide in some maps.
  def test_it_agrees_with_a_model
    @seed = Random.new_seed % 100_000
    random = Random.new(@seed)
    times(60).times do
      range = random.rand(1..200)
      key_of = [->(n) { n }, ->(n) { "key #{n}" }, ->(n) { colliding(n) }, ->(n) { [n, "x"].freeze }].sample(random: random)
      map = Kino::Map.new
      model = {}
      times(400).times do |step|
        key = Ractor.make_shareable(key_of.call(random.rand(range)))
        value = random.rand(3).zero? ? Payload.make(step) : step
        case random.rand(6)
        when 0, 1 then model[key] = map[key] = value
        when 2 then agree model.delete(key), map.delete(key)
        when 3 then agree model[key], map[key]
        when 4 then agree(model[key] ||= value, map.compute_if_absent(key) { value })
        else agree(model[key] = [model[key]].freeze, map.update(key) { |old| Ractor.make_shareable([old]) })
        end
        agree [model.size, model.key?(key)], [map.size, map.key?(key)]
      end
      agree model, map.to_h
    end
  end

  # Ractors and Threads count in the same entries and remove them; nothing is lost, and all objects are intact.
  def test_updates_of_many_ractors_are_not_lost
    before = alive
    map = Kino::Map.new
    each = times(600)
    workers = [Ractor, Thread, Ractor].each_with_index.map do |kind, seed|
      kind.new(map, seed, each) do |shared, number, many|
        random = Random.new(number)
        removed = 0
        many.times do |step|
          key = [random.rand(5), "key #{random.rand(5)}", [random.rand(5)].freeze].sample(random: random)
          shared.update(key.frozen? ? key : key.freeze) { |old| Payload.make((old ? old.number : 0) + 1) }
          raise "broken" unless shared.fetch(key) { Payload.make(0) }.intact?

          removed += shared.delete(key)&.number.to_i if (step % 7).zero?
          raise "broken" unless (step % 50).positive? || shared.values.all?(&:intact?)
        end
        removed
      end
    end
    removed = workers.sum { |worker| worker.is_a?(Thread) ? worker.value : result_of(worker) }
    assert_equal 3 * each, removed + map.values.sum(&:number)
    assert_operator alive, :<=, before + map.size + STRAYS
  end

  # The first value is that of all, however many compute.
  def test_one_computed_value_is_that_of_all
    map = Kino::Map.new
    workers = Array.new(3) do |number|
      Ractor.new(map, number, times(200)) do |shared, own, many|
        Array.new(many) { |key| shared.compute_if_absent([key].freeze) { own } }
      end
    end
    values = workers.map { |worker| result_of(worker) }
    assert_equal 1, values.uniq.size
    assert_equal times(200), map.size
  end

  # Threads of two Ractors are killed wherever they are (each computes for a slice first, so few of them); the map remains usable, and keeps nothing that is not in it.
  def test_killed_threads_leave_the_map_whole
    skip "such programs hang on this Ruby, also without kino" if ENDED_THREADS_HANG
    before = alive
    map = Kino::Map.new
    workers = Array.new(2) do |seed|
      Ractor.new(map, seed, 6) do |shared, number, many|
        random = Random.new(number)
        many.times do
          thread = Thread.new do
            loop { shared.update([random.rand(9)].freeze) { |old| Payload.make((old ? old.number : 0) + 1) } }
          end
          Thread.pass
          thread.kill.join
          shared.delete([random.rand(9)].freeze)
        end
      end
    end
    workers.each { |worker| result_of(worker) }
    assert(map.to_h.all? { |key, payload| payload.intact? && map[key].equal?(payload) })
    assert_equal map.size, map.keys.uniq.size
    assert_operator alive, :<=, before + map.size + STRAYS
  end

  def test_unreachable_maps_are_collected_with_their_contents
    before = alive
    maps = alive(Kino::Map)
    elsewhere do
      times(100).times do |number|
        map = Kino::Map.new
        map[map] = Payload.make(number)
        map[Payload.make(number)] = Ractor.make_shareable([map])
      end
      nil
    end
    assert_operator alive, :<=, before + STRAYS
    assert_operator alive(Kino::Map), :<=, maps + STRAYS
  end

  def test_what_is_replaced_or_deleted_is_collected
    before = alive
    map = Kino::Map.new
    elsewhere { times(1000).times { |number| map[number % 10] = Payload.make(number) } && nil }
    assert_operator alive, :<=, before + 10 + STRAYS
    elsewhere { 10.times { |number| map.delete(number) } && nil }
    assert_operator alive, :<=, before + STRAYS
  end

  def test_what_is_in_a_map_stays_alive
    map = Kino::Map.new
    many = times(1000)
    elsewhere { many.times { |number| map[Payload.make(number)] = "value #{number}".freeze } && nil }
    alive
    GC.compact if GC.respond_to?(:compact) && !CRASHING_CHILDREN
    assert_equal (0...many).to_a, map.keys.select(&:intact?).map(&:number).sort
    assert(map.to_h.all? { |key, value| value == "value #{key.number}" && map[key] == value })
  end

  # Without a write barrier, minor collections free what an old map was given later.
  def test_an_old_map_keeps_young_objects
    map = Kino::Map.new
    alive
    elsewhere { 300.times { |number| map[Payload.make(number)] = Payload.make(number) } && nil }
    collect_young_objects
    assert(map.to_h.all? { |key, value| key.intact? && value.intact? })
  end

  def test_a_forked_child_has_the_contents
    map = map_of((0...times(500)).to_h { |number| [[number].freeze, Payload.make(number)] })
    counter = Kino::Counter.new(5)
    succeeds_in_child do
      GC.start
      map["child"] = 1
      map.delete([0].freeze)
      counter.add
      (1...times(500)).all? { |number| map[[number].freeze].intact? } && map.size == times(500) && counter.value == 6
    end
    assert_nil map["child"]
    assert_equal 5, counter.value
  end

  def agree(expected, actual)
    assert expected == actual, "expected #{expected.inspect}, got #{actual.inspect}; seed #{@seed}"
  end
end
