# frozen_string_literal: true

require "minitest/autorun"
require "monitor"
require "set"

require "kino/ractor_audit"

# The audit's verdict about random objects is Ruby's own: nothing is found exactly if Ruby shares the object, and freezing
# mends everything exactly if Ractor.make_shareable succeeds for an equal object. SEED=1 GRAPHS=1 repeats one.
class RactorAuditGraphsTest < Minitest::Test
  GRAPHS = Integer(ENV.fetch("GRAPHS", 2000))
  FIRST_SEED = Integer(ENV.fetch("SEED", 0))

  Pair = Struct.new(:left, :right)
  Point = defined?(::Data.define) ? ::Data.define(:x, :y) : Struct.new(:x, :y)
  Text = Class.new(String)

  class Node
    def add(value) = instance_variable_set(:"@v#{instance_variables.size}", value)
  end

  # Lies about itself.
  class Liar < Node
    %i[class frozen? instance_variables hash == eql? inspect to_s respond_to? is_a? nil?].each do |name|
      class_eval("def #{name}(*) = raise('asked for #{name}')", __FILE__, __LINE__)
    end

    def add(value) = ::Kernel.instance_method(:instance_variable_set).bind_call(self, :@v, value)
  end

  class Freezes < Node
    def freeze = super
  end

  # The same seed builds the same graph again, of other objects.
  class Graph
    FROZEN = Kernel.instance_method(:freeze)
    LEAVES = %i[number symbol string frozen_string text regexp range time rational unbound_method native frozen_native raised
                error bare method_of_shared method_of_string shared_block local_block capturing mutating with_self enumerator
                symbol_block composed anonymous].freeze
    BRANCHES = %i[array hash pair point node liar freezes set default_hash default_block].freeze

    attr_reader :root, :objects

    def initialize(seed)
      @random = Random.new(seed)
      @objects = []
      @root = build(@random.rand(1..5))
    end

    private

    def build(depth)
      return @objects.sample(random: @random) if @objects.any? && @random.rand < 0.15

      leaf = depth.zero? || @random.rand < 0.25
      leaf ? keep(__send__(pick(LEAVES))) : branch(pick(BRANCHES), depth - 1)
    end

    # Mostly of the kinds that can be shared, or no graph could be.
    def pick(kinds)
      @random.rand < 0.6 ? kinds.first(kinds == LEAVES ? 10 : 8).sample(random: @random) : kinds.sample(random: @random)
    end

    def keep(object)
      @objects << object
      object
    end

    def branch(kind, depth)
      parts = Array.new(@random.rand(4)) { build(depth) }
      object = keep(__send__(kind, parts))
      # A cycle.
      object.push(@objects.sample(random: @random)) if kind == :array && @random.rand < 0.1
      FROZEN.bind_call(object) if @random.rand < 0.6
      object
    end

    def array(parts) = parts.dup
    def hash(parts) = parts.each_with_index.to_h { |part, index| [index.odd? ? "key #{index}".dup : index, part] }
    def pair(parts) = Pair.new(*parts.first(2))
    def point(parts) = Point.new(parts[0], parts[1])
    def node(parts) = Node.new.tap { |node| parts.each { |part| node.add(part) } }
    def liar(parts) = Liar.new.tap { |node| parts.each { |part| node.add(part) } }
    def freezes(parts) = Freezes.new.tap { |node| parts.each { |part| node.add(part) } }
    def set(parts) = Set.new.compare_by_identity.merge(parts)
    def default_hash(parts) = Hash.new(parts.first)
    def default_block(_) = Hash.new(&(@random.rand < 0.5 ? shared_block : with_self))

    def number = @random.rand(100)
    def symbol = :name
    def string = "text".dup
    def frozen_string = "text"
    def text = Text.new("text")
    def regexp = Regexp.new("a#{@random.rand(9)}")
    def range = ("a".dup.."b".dup)
    def time = Time.at(0)
    def rational = Rational(1, 3)
    def native = [Mutex, Monitor, Thread::ConditionVariable].sample(random: @random).new
    def frozen_native = native.freeze
    def raised = (raise "raised" rescue $!)
    def error = RuntimeError.new("new")
    def bare = BasicObject.new
    def method_of_shared = 1.method(:+)
    def method_of_string = "text".dup.method(:size)
    def unbound_method = Integer.instance_method(:+)
    def shared_block = nil.instance_exec { Ractor.make_shareable(proc { 1 }) }
    def local_block = nil.instance_exec { proc { [1].map { |one| one } } }
    def capturing = nil.instance_exec(@random.rand < 0.5 ? 1 : [1]) { |value| proc { value } }
    def mutating = nil.instance_exec { count = 0; proc { count += 1 } }
    def with_self = Object.new.instance_exec { @random ? nil : proc { self } }
    def enumerator = [1].each
    def symbol_block = :size.to_proc
    def composed = :size.to_proc >> :to_s.to_proc
    def anonymous = Class.new.new
  end

  FROZEN = Kernel.instance_method(:frozen?)

  def frozen(graph)
    graph.objects.map { |object| FROZEN.bind_call(object) }
  end

  def shareable_after_freezing?(object)
    Ractor.make_shareable(object)
    true
  rescue StandardError
    false
  end

  def test_the_verdict_is_ruby_s_own
    verdicts = Hash.new(0)
    (FIRST_SEED...FIRST_SEED + GRAPHS).each do |seed|
      graph = Graph.new(seed)
      before = frozen(graph)
      findings = Kino::RactorAudit.in_app(graph.root).findings
      assert_equal before, frozen(graph), "SEED=#{seed} GRAPHS=1: the audit froze something"
      shareable = Ractor.shareable?(graph.root)
      assert_equal shareable, findings.empty?, "SEED=#{seed} GRAPHS=1: #{findings.map(&:to_s)}"
      mended = shareable_after_freezing?(Graph.new(seed).root)
      assert_equal mended, findings.all? { |one| one.freezing == "the app" }, "SEED=#{seed} GRAPHS=1: #{findings.map(&:to_s)}"
      refute(findings.any? { |one| one.kind == :unknown }, "SEED=#{seed} GRAPHS=1: not explained")
      findings.each { |one| assert_kind_of String, one.fix }
      verdicts[[shareable, mended]] += 1
    end
    # Graphs of one kind only would show nothing.
    [[true, true], [false, true], [false, false]].each { |kind| assert_operator verdicts[kind], :>, GRAPHS / 50 } if GRAPHS > 50
  end
end
