# frozen_string_literal: true

require_relative "support/ruby_test"
require "handles"

# Integer ids for native state, in every Ractor.
class HandlesTest < RubyTest
  def test_an_id_is_valid_until_it_is_erased
    id = Handles.insert
    assert_equal [1, 2], [Handles.add(id), Handles.add(id)]
    assert_equal [true, false], [Handles.erase(id), Handles.erase(id)]
    assert_nil Handles.add(id)
    refute_equal id, Handles.insert
  end

  def test_an_invalid_id_is_not_found
    id = Handles.insert
    other = Handles.insert_other
    [0, 1, id + 1, id ^ (1 << 30), id | (1 << 62), other, (1 << 64) - 1, (1 << 62) - 1].each do |wrong|
      assert_nil Handles.add(wrong)
      refute Handles.erase(wrong)
    end
    assert_raises(TypeError) { Handles.add("x") }
    assert_raises(TypeError) { Handles.add(nil) }
    assert_operator id, :<, 1 << 62, "an id is a Fixnum"
    assert Ractor.shareable?(id)
  end

  def test_ids_are_never_reused
    ids = Array.new(times(3000)) { Handles.insert.tap { |id| Handles.erase(id) } }
    assert_equal ids.size, ids.uniq.size
  end

  def test_a_pin_keeps_an_erased_object_alive_until_its_thread_ends
    before = Handles.alive
    id = Handles.insert
    assert_equal 1, Handles.pinned(id) { assert Handles.erase(id) }
    assert_nil Handles.pinned(id) { flunk }
    id = Handles.insert
    assert_raises(IOError) { Handles.pinned(id) { raise IOError } }
    thread = Thread.new { Handles.pinned(id) { sleep } }
    await_waiting(thread)
    Handles.erase(id)
    assert_equal before + 1, Handles.alive
    thread.kill.join
    assert_equal before, Handles.alive
  end

  def test_many_ractors_share_a_registry
    before = Handles.alive
    shared = Handles.insert
    ractors = Array.new(4) do
      Ractor.new(shared, times(5000)) do |id, count|
        count.times.count do
          own = Handles.insert
          Handles.add(id)
          Handles.add(own) == 1 && Handles.erase(own) && Handles.add(own).nil?
        end
      end
    end
    assert_equal [times(5000)] * 4, ractors.map { |ractor| result_of(ractor) }
    assert_equal (4 * times(5000)) + 1, Handles.add(shared)
    Handles.erase(shared)
    assert_equal before, Handles.alive
  end
end
