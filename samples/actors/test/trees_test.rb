# frozen_string_literal: true

require_relative "support"

# Supervision trees six levels deep, of all strategies, whose supervisors and servers are ended at random: all are alive again
# afterwards, each once and under its name, and end with the root.
class TreesTest < ActorsTest
  DEPTH = 6
  MANY = 1_000_000

  class Leaf < Actors::GenServer
    def init(path) = @path = path
    def path = @path
    def fail = raise("at random")
  end

  class Branch < Actors::Supervisor
    def init(path, depth, isolation)
      strategy STRATEGIES[path.sum % 3], max_restarts: MANY
      2.times do |number|
        below = "#{path}.#{number}"
        options = { id: number, name: below, isolation: isolation }
        depth == 1 ? child(Leaf, below, **options) : child(Branch, below, depth - 1, isolation, **options)
      end
    end
  end

  def names(path, depth) = depth.zero? ? [] : Array.new(2) { |number| "#{path}.#{number}" }.flat_map { |each| [each, *names(each, depth - 1)] }

  def end_at_random(ref, random)
    case random.rand(4)
    when 0 then Actors.exit(ref, :kill)
    when 1 then Actors.exit(ref, :at_random)
    when 2 then ref.cast(:fail, full: :drop)
    else ref << :ignored
    end
  end

  # Yields between the ends, and then until all are alive.
  def shake(root, times, random, isolation: nil)
    top = Branch.start(root, DEPTH, isolation, isolation: isolation)
    all = names(root, DEPTH)
    times.times do
      Actors[all.sample(random: random)].whereis&.then { |ref| end_at_random(ref, random) }
      yield if random.rand(3).zero?
    end
    yield until all.all? { |name| Actors[name].alive? }
    leaves = all.select { |name| name.count(".") == DEPTH }
    assert_equal leaves, leaves.map { |name| Actors[name].call(:path, timeout: 30) }
    assert_equal all.size + 1, Actors.tree(top, timeout: 30).lines.size
    assert_equal :normal, top.stop(timeout: 60)
    assert_empty all.select { |name| Actors::Context.current.runtime.entries.key?([:name, name].freeze) }
    assert_nil Actors.receive(timeout: 0)
  end

  each_isolation "a_tree_recovers" do
    shake("tree of #{@isolation}", 300, Random.new(seeds(1).first), isolation: @isolation) { Actors.sleep(0.001) }
  end

  def test_a_tree_recovers_in_every_order
    simulate(5) { |_, random| shake("tree", 100, random) { Actors.sleep(random.rand) } }
  end
end
