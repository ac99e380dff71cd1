# frozen_string_literal: true

require "minitest/autorun"

require "kino/ractor_audit"

# The audit of objects and classes that lie about themselves, of graphs of any shape, and of everything that is loaded.
class RactorAuditHostileTest < Minitest::Test
  module Helper
    CACHE = {}
    def self.cached = CACHE
  end

  def all(app)
    Kino::RactorAudit.in_app(app).findings
  end

  def findings(app)
    all(app).map(&:to_s)
  end

  # Objects that override the methods of reflection, or lack them.
  class Bare < BasicObject
    def call(_env) = ::RactorAuditHostileTest::Helper.cached
    def method_missing(*) = ::Kernel.raise("asked")
  end

  class Liar
    %i[class inspect instance_variables respond_to? hash == frozen? is_a? method].each do |name|
      define_method(name) { |*| raise "asked" }
    end
    def self.name = raise("asked")
    def self.inspect = raise("asked")
    def call(_env) = [200, {}, []]
  end

  # A class that answers no question about itself.
  class Silent
    class << self
      %i[ancestors instance_methods private_instance_methods instance_method name inspect to_s singleton_class const_get
         const_defined? autoload? allocate instance_variables hash == eql? equal?].each do |name|
        define_method(name) { |*| raise "asked for #{name}" }
      end
    end

    def call(_env) = ::RactorAuditHostileTest::Helper.cached
  end

  def test_a_class_without_reflection_is_audited
    assert_match(/Helper\.cached .* reads \S+CACHE/, findings(Silent.new.freeze).first)
    assert_kind_of Array, findings(Silent)
  end

  def test_a_graph_of_any_depth_and_size_is_audited_with_a_short_result
    deep = [Mutex.new].freeze
    20_000.times { deep = [deep].freeze }
    found = findings(deep)
    assert_equal 1, found.size
    assert_match(/\Athe app(\[0\])+ \(and \d+ levels below\) (\[0\])+ is a Thread::Mutex/, found.first)
    audit = Kino::RactorAudit.in_app(Array.new(200_000) { +"text" })
    refute audit.complete?
    assert_equal Kino::RactorAudit::LIMIT, audit.findings.size
    assert_operator audit.omitted, :>, 90_000
  end

  def test_a_graph_too_deep_for_ruby_is_not_shareable
    deep = [].freeze
    90_000.times { deep = [deep].freeze }
    assert_equal [:unknown], all(deep).map(&:kind)
  end

  def test_texts_are_short_and_readable_for_any_string
    { "x" * 1_000_000 => /\["x{36}\.\.\.\]/, "a\e[31m\n" => /\["a\\e\[31m\\n"\]/, "\xFF".b => /\["\?"\]/,
      "ab".encode("UTF-16LE") => /\["ab"\]/ }.each do |key, pattern|
      assert(findings({ key => +"" }.freeze).any? { |one| pattern.match?(one) }, pattern.inspect)
    end
  end

  def test_an_object_whose_own_freeze_decides_is_named_with_it
    own = Class.new { def freeze = super }
    assert_match(/an unfrozen object of an anonymous subclass of Object, which its own #freeze \(\S+:#{__LINE__ - 1}\) has to freeze/, findings(own.new).first)
  end

  def test_objects_without_reflection_do_not_stop_the_audit
    assert(findings(Bare.new).any?(/Helper\.cached .* reads \S+CACHE/))
    assert(findings(Liar.new).any?(/the app is an unfrozen RactorAuditHostileTest::Liar/))
    [Object, BasicObject.new, :sym.to_proc, [].method(:push), Class.new(BasicObject), Struct.new(:a).new(1), nil, 1, Thread.current,
     Hash.new { |hash, key| hash[key] = key }, Enumerator.new { |y| y << 1 }, binding, ObjectSpace::WeakMap.new].each do |object|
      assert_kind_of Array, findings(object)
    end
  end

  def test_every_loaded_module_can_be_audited
    ObjectSpace.each_object(Module).first(2000).each { |mod| assert_kind_of Array, findings(mod) }
  end

  def test_an_array_that_contains_itself_is_audited_once
    loop_of = []
    loop_of << loop_of
    assert_equal ["the app is an unfrozen Array"], findings(loop_of)
  end
end
