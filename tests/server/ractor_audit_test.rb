# frozen_string_literal: true

require "minitest/autorun"
require "open3"
require "rbconfig"
require "tempfile"

require "kino/ractor_audit"

# The findings of the audit in apps and blocks, without a server.
class RactorAuditTest < Minitest::Test
  SHAREABLE = Ractor.make_shareable({ "content-type" => "text/plain" })

  def all(app)
    Kino::RactorAudit.in_app(app).findings
  end

  def findings(app)
    all(app).map(&:to_s)
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

  class CountsCalls
    @@count = 0
    def call(_env) = [200, {}, [(@@count += 1).to_s]]
  end

  class Global
    def call(_env) = [200, {}, [$kino_audit_test.to_s, $stdout, $VERBOSE, $~, $!]]
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
    assert_one(/Base#(?:list|call) .* reads \S+Base::LIST/, Derived.new.freeze)
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
    found = findings(ClassVariable.new.freeze)
    # Ruby 4.1 can read it, because its value is shareable.
    RUBY_VERSION >= "4.1" ? assert_empty(found) : assert_match(/ClassVariable#call .* reads the class variable @@count/, found.first)
    assert_one(/CountsCalls#call .* sets the class variable @@count/, CountsCalls.new.freeze) if RUBY_VERSION >= "4.1"
    assert_one(/Global#call .* uses the global variable \$kino_audit_test/, Global.new.freeze)
  end

  def test_a_method_defined_by_a_block_is_found
    assert_one(/DefinedByBlock#call .* is a block given to define_method/, DefinedByBlock.new.freeze)
  end

  # The block, with a module as its self.
  def block(&block)
    Helper.instance_exec(&block)
  end

  def test_a_finding_about_a_block_names_the_captured_variables_with_their_places
    names = []
    assert_one(/\Athe app is a block \(\S+:\d+\), which uses names \(\S+:\d+\), an Array that is not shareable\z/,
               block { proc { |env| names << env } })
    finding = all(block { proc { |env| names << env } }).first
    assert_equal [:captured_variable, "names", "names", __FILE__, __LINE__ - 1],
                 [finding.kind, finding.name, finding.freezing, finding.file, finding.line]
    assert_includes finding.fix, "names = Ractor.make_shareable(...)"
  end

  def test_a_block_is_audited_with_what_it_captures
    inner = { "list" => [+"text"].freeze, "lock" => Mutex.new }.freeze
    found = findings(block { ->(env) { inner[env] } })
    assert_equal 3, found.size, found.inspect
    assert_includes found, 'the app -> inner["lock"] is a Thread::Mutex, which belongs to one Ractor'
    assert_includes found, 'the app -> inner["list"][0] is an unfrozen String ("text")'
    reads = ReadsArray.new.freeze
    found = findings(block { ->(env) { reads.call(env) } })
    assert(found.any? { |one| one.include?("ReadsArray::LIST") }, found.inspect)
  end

  def test_a_block_that_assigns_a_variable_or_uses_its_self_is_found
    count = 0
    refute_nil count
    assert_one(/which assigns count \(\S+:\d+\), a variable from outside it\z/, block { proc { |_env| count = 1 } })
    found = all(proc { |_env| self })
    assert_equal [:self], found.map(&:kind)
    assert_match(/whose self, a RactorAuditTest, is not shareable and used \(\S+:#{__LINE__ - 2}\)\z/, found.first.to_s)
    assert_equal [:unused_self], all(proc { |_env| 1 }).map(&:kind)
  end

  def test_a_shareable_block_with_its_methods_has_no_findings
    list = [1].freeze
    shareable = block { proc { |_env| list.map { |one| one + 1 } } }
    found = all(shareable)
    assert_equal [[:block, "the app"]], found.map { |one| [one.kind, one.freezing] }
    assert_empty all(Ractor.make_shareable(shareable))
  end

  def test_asking_about_a_block_does_not_change_it
    list = [1].freeze
    asked = block { proc { list } }
    all(asked)
    refute asked.frozen?
    refute Ractor.shareable?(asked)
    list = [2]
    assert_equal [2], asked.call, "the block has lost its variable"
  end

  def test_what_freezing_does_not_mend_comes_first
    found = all([+"text", Mutex.new, [+"inner"]])
    assert_equal [:native, :unfrozen, :unfrozen, :unfrozen, :unfrozen], found.map(&:kind)
    assert_equal [nil, *["the app"] * 4], found.map(&:freezing)
  end

  def test_the_audit_loads_and_changes_nothing
    before = ReadsHash::HEADERS["content-type"].frozen?
    assert_empty findings(Autoloads.new.freeze)
    assert Autoloads.autoload?(:Missing)
    findings(ReadsHash.new)
    assert_equal before, ReadsHash::HEADERS["content-type"].frozen?
    refute ReadsArray::LIST.frozen?
  end
end
