# frozen_string_literal: true

require "minitest/autorun"
require "open3"
require "rbconfig"
require "tempfile"

require "kino/ractor_audit"

# The findings of the audit in apps and blocks, without a server.
class RactorAuditTest < Minitest::Test
  SHAREABLE = Ractor.make_shareable({ "content-type" => "text/plain" })

  def findings(app)
    Kino::RactorAudit.of_app(app)
  end

  # The app has exactly one finding, and it matches.
  def assert_one(pattern, app)
    found = findings(app)
    assert_equal 1, found.size, found.inspect
    assert_match pattern, found.first
  end

  class Fine
    WORDS = %w[a b].freeze.each(&:freeze)
    def call(_env) = [200, SHAREABLE, WORDS]
  end

  class ReadsHash
    HEADERS = { "content-type" => +"text/plain" }.freeze
    def call(_env) = [200, HEADERS, []]
  end

  class ReadsArray
    LIST = []
    def call(_env) = [200, {}, block]
    def block = [1].map { LIST.size }
  end

  class InRescue
    LIST = []
    def call(_env)
      Integer("x")
    rescue ArgumentError
      LIST
    end
  end

  class Unused
    LIST = []
    def call(_env) = [200, {}, []]
    def never = LIST
  end

  class Autoloads
    autoload :Missing, "/nonexistent/missing"
    def call(_env) = [200, {}, [Missing.new]]
  end

  module Helper
    CACHE = {}
    @memo = {}
    @fine = 1
    singleton_class.attr_reader(:memo)
    def self.cached = CACHE
    def self.remembered = @memo
    def self.read = memo
    def self.kept = @fine
    def self.set = (@other ||= 1)
  end

  class ClassVariable
    @@count = 0
    def call(_env) = [200, {}, [@@count.to_s]]
  end

  class Global
    def call(_env) = [200, {}, [$kino_audit_test.to_s, $stdout, $0, $~]]
  end

  class DefinedByBlock
    captured = []
    define_method(:call) { |_env| [200, {}, captured] }
  end

  class Base
    LIST = []
    def call(_env) = [200, {}, self.class::LIST]
    def list = LIST
  end

  class Derived < Base
    def call(_env) = [200, {}, list]
  end

  def test_a_shareable_app_has_no_findings
    assert_empty findings(Fine.new.freeze)
    assert_empty findings(Unused.new.freeze)
    assert_empty findings(Module.new { def self.call(_env) = [200, {}, []] })
  end

  def test_a_finding_names_the_constant_with_the_places_of_its_use_and_definition
    assert_one(/ReadsHash#call \(\S+ractor_audit_test\.rb:\d+\) reads \S+::HEADERS \(\S+:\d+\), and \S+HEADERS\["content-type"\] is an unfrozen String/,
               ReadsHash.new.freeze)
    assert_one(/ReadsArray#block .* reads \S+::LIST \(\S+:\d+\), which is an unfrozen Array/, ReadsArray.new.freeze)
    assert_one(/InRescue#call .* reads \S+::LIST/, InRescue.new.freeze)
  end

  def test_inherited_methods_read_the_constants_of_their_own_class
    assert_one(/Base#list .* reads \S+Base::LIST/, Derived.new.freeze)
  end

  def test_the_app_inside_a_middleware_is_audited
    outer = Struct.new(:app) { def call(env) = app.call(env) }
    assert_one(/ReadsArray#block .* reads/, Ractor.make_shareable(outer.new(ReadsArray.new)))
  end

  { cached: /Helper\.cached .* reads \S+CACHE \(.*, which is an unfrozen Hash/,
    remembered: /Helper\.remembered .* reads @memo of \S+Helper, a Hash that is not shareable/,
    read: /Helper\.memo .* reads @memo of/,
    set: /Helper\.set .* sets @other of \S+Helper, which only the main Ractor can/ }.each do |name, pattern|
    define_method("test_a_module_s_#{name}") do
      app = Class.new { class_eval("def call(_env) = [200, {}, RactorAuditTest::Helper.#{name}]", __FILE__, __LINE__) }
      assert_one(pattern, app.new.freeze)
    end
  end

  def test_a_shareable_instance_variable_of_a_module_may_be_read
    assert_empty findings(Class.new { def call(_env) = Helper.kept }.new.freeze)
  end

  def test_class_variables_and_global_variables_are_found
    assert_one(/ClassVariable#call .* uses the class variable @@count/, ClassVariable.new.freeze)
    assert_one(/Global#call .* uses the global variable \$kino_audit_test/, Global.new.freeze)
  end

  def test_a_method_defined_by_a_block_is_found
    assert_one(/DefinedByBlock#call .* is a block given to define_method/, DefinedByBlock.new.freeze)
  end

  def test_a_finding_about_a_block_names_the_captured_variables
    names = []
    assert_one(/\Athe app is a block \(\S+:\d+\), which uses names, an Array from outside\z/, proc { |env| names << env })
  end

  def test_the_audit_loads_and_changes_nothing
    before = ReadsHash::HEADERS["content-type"].frozen?
    assert_empty findings(Autoloads.new.freeze)
    assert Autoloads.autoload?(:Missing)
    findings(ReadsHash.new)
    assert_equal before, ReadsHash::HEADERS["content-type"].frozen?
    refute ReadsArray::LIST.frozen?
  end

  # Objects that override the methods of reflection, or lack them.
  class Bare < BasicObject
    def call(_env) = ::RactorAuditTest::Helper.cached
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

  def test_objects_without_reflection_do_not_stop_the_audit
    assert(findings(Bare.new).any?(/Helper\.cached .* reads \S+CACHE/))
    assert(findings(Liar.new).any?(/the app is an unfrozen RactorAuditTest::Liar/))
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
