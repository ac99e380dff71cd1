# frozen_string_literal: true

require "minitest/autorun"

require "kino/ractor_audit"

# The audit's verdict about code is what happens in a Ractor: every kind of state is used from every kind of place, and the
# audit finds something exactly if the code raises there. Nothing else can go wrong in these apps.
class RactorAuditCodeTest < Minitest::Test
  # What the code uses. Each is evaluated inside a class App with the definitions of STATE.
  STATE = <<~RUBY
    GOOD = [1].freeze
    BAD = [1]
    TEXT = +"text"
    INNER = { "key" => [+"deep"].freeze }.freeze
    BLOCK = Ractor.make_shareable(proc { 1 })
    private_constant :BAD
    @@count = 1
    @ready = :ready
    @list = []
    class << self
      attr_reader :list, :ready
      attr_accessor :setting
      def memo = @memo ||= 1
      def warm = @ready ||= [1]
      def warm_list = @list ||= [1]
      def either = @ready || built
      def built = @built = 1
      def unless_set
        @ready = 1 unless @ready
        @ready
      end
      def looping
        @list = 2 while @never
        @last = 3
      end
      def breaking
        break while @ready
        @last = 3
      end
    end
    module Nested
      BAD = []
      GOOD = 1
      @state = {}
      class << self
        attr_reader :state
      end
      def self.fine = GOOD
      def self.bad = BAD
    end
    define_method(:defined_by_block) { 1 }
    define_singleton_method(:singleton_by_block) { 1 }
    define_method(:defined_by_shareable_block, &BLOCK)
  RUBY

  USES = ["GOOD", "BAD", "TEXT", "INNER", "INNER['key'].first", "BLOCK.call", "Nested::BAD", "Nested::GOOD", "Nested.bad", "Nested.fine",
          "App::TEXT", "::RactorAuditCodeTest::Apps::TOP", "App.list", "App.ready", "App.memo", "App.warm", "App.warm_list", "App.either", "App.built", "App.unless_set", "App.looping", "App.breaking", "App.setting = 1",
          "Nested.state", "@@count", "@@count += 1", "$kino_audit_code", "$kino_audit_code = 1", "$stdout", "$0", "STDOUT.fileno",
          "ENV['HOME']", "App.singleton_by_block", "App.new.defined_by_block", "App.new.defined_by_shareable_block", "@own", "@own = 1", "@own ||= 1", "Time.now",
          "defined?(BAD)", "Comparable", "__method__", "$~"].freeze

  # Where the code is. USE stands for it.
  PLACES = {
    "in call" => "def call(_env) = (USE)",
    "in a block" => "def call(_env) = [1].map { |one| [one].each { USE } }",
    "in a lambda" => "def call(_env) = -> { USE }.call",
    "in rescue" => "def call(_env)\nraise ArgumentError\nrescue ArgumentError\nUSE\nend",
    "in ensure" => "def call(_env)\n1\nensure\nUSE\nend",
    "in an argument's default" => "def call(_env) = helper\ndef helper(value = (USE)) = value",
    "in a keyword's default" => "def call(_env) = helper\ndef helper(value: (USE)) = value",
    "in a string" => 'def call(_env) = "text #{USE}"',
    "in a branch" => "def call(_env)\ncase 5\nwhen String then 1\nelse (USE)\nend\nend",
    "in a loop" => "def call(_env)\nwhile true\nUSE\nbreak\nend\nend",
    "in a copy of the app" => "def call(_env) = dup.answer\ndef answer = (USE)",
    "in a method that initialize calls" => "def initialize = prepare\ndef prepare = other\ndef other = @own = 1\ndef call(_env) = (USE)",
    "in a private method" => "def call(_env) = helper\nprivate\ndef helper = (USE)",
    "in a method called by its symbol" => "def call(_env) = [self].each(&:helper)\ndef helper = (USE)",
    "in a method that is sent" => "def call(_env) = __send__(:helper)\ndef helper = (USE)",
    "in an alias" => "def helper = (USE)\nalias other helper\ndef call(_env) = other",
    "in super" => "class Base < self\ndef call(_env) = (USE)\nend\nclass Derived < Base\ndef call(env) = super\nend",
    "in a class method" => "def call(_env) = self.class.helper\ndef self.helper = (USE)",
    "in a class method by name" => "def call(_env) = App.helper\ndef self.helper = (USE)",
    "in a private class method" => "def call(_env) = App.helper\ndef self.helper = other\ndef self.other = (USE)\nprivate_class_method :other",
    "in another object" => "class Other\ndef run = (USE)\nend\ndef call(_env) = Other.new.run",
    "in initialize" => "class Other\ndef initialize = (USE)\nend\ndef call(_env) = Other.new",
    "in a factory's object" => "class Other\ndef self.build = new\ndef run = (USE)\nend\ndef call(_env) = Other.build.run",
    "in a module function" => "module Other\nmodule_function\ndef run = (USE)\nend\ndef call(_env) = Other.run",
    "in a module that extends itself" => "module Other\nextend self\ndef run = (USE)\nend\ndef call(_env) = Other.run",
    "in an included module" => "module Other\ndef run = (USE)\nend\ninclude Other\ndef call(_env) = run",
    "in a prepended module" => "module Other\ndef call(env) = super && (USE)\nend\nprepend Other\ndef call(_env) = true",
    "in a struct" => "Other = Struct.new(:value) { def run = (USE) }\ndef call(_env) = Other.new(1).run",
    "in method_missing" => "def call(_env) = helper\ndef respond_to_missing?(*) = true\ndef method_missing(_name) = (USE)",
    "in the body" => "class Body\ndef each = yield((USE).to_s)\nend\ndef call(_env) = [200, {}, Body.new]",
    "in an object of the app" => "class Other\ndef run = (USE)\nend\ndef initialize = @other = Other.new.freeze\ndef call(_env) = @other.run",
    "in an object of a constant" => "class Other\ndef run = (USE)\nend\nOTHER = Other.new.freeze\ndef call(_env) = OTHER.run",
    "in a singleton method of an object" => "def initialize\n@other = Object.new\ndef @other.run = (USE)\n@other.freeze\nend\ndef call(_env) = @other.run",
    "in a class that is the app" => "class Served\ndef self.call(_env) = helper\ndef self.helper = (USE)\nend",
    "in a conversion to text" => "class Other\ndef to_s = (USE).to_s\nend\ndef call(_env) = [Other.new].join",
    "in a conversion of an argument" => "class Other\ndef to_int = ((USE); 1)\nend\ndef call(_env) = [1, 2][Other.new]",
    "in a comparison" => "class Other\ndef <=>(_other) = ((USE); 0)\nend\ndef call(_env) = [Other.new, Other.new].sort",
    "in a hash" => "class Other\ndef hash = ((USE); 1)\nend\ndef call(_env) = { Other.new => 1 }",
    "in a match" => "class Other\ndef ===(_other) = (USE)\nend\ndef call(_env)\ncase 1\nwhen Other.new then 2\nend\nend",
    "in a copy" => "class Other\ndef initialize_copy(_other) = (USE)\nend\ndef call(_env) = Other.new.dup",
    "in an operator" => "class Other\ndef +(_other) = (USE)\nend\ndef call(_env) = Other.new + 1",
    "in an element" => "class Other\ndef [](_key) = (USE)\nend\ndef call(_env) = Other.new[1]",
    "in a setter" => "class Other\ndef value=(_value)\nUSE\nend\nend\ndef call(_env) = Other.new.value = 1",
    "in an iterator" => "class Other\ninclude Enumerable\ndef each = yield(USE)\nend\ndef call(_env) = Other.new.map { |one| one }",
    "in a splat" => "class Other\ndef to_a = [USE]\nend\ndef call(_env) = [*Other.new]",
    "in a block to a method of another class" => "class Other\ndef run = yield\nend\ndef call(_env) = Other.new.run { USE }",
    "in evaluated code" => "class_eval(%q{def helper = (USE)})\ndef call(_env) = helper",
    "in a delegated method" => "require 'forwardable'\nextend Forwardable\ndef_delegator :itself, :helper, :other\ndef helper = (USE)\ndef call(_env) = other",
    "in an exception's message" => "class Other < StandardError\ndef message = (USE).to_s\nend\ndef call(_env) = Other.new.message",
    "in a subclass made at run time" => "class Base\ndef run = (USE)\nend\nMADE = Class.new(Base)\ndef call(_env) = MADE.new.run",
    "in a computed constant's class" => "class Other\ndef run = (USE)\nend\ndef call(_env) = self.class::Other.new.run"
  }.freeze

  # Where the app of each case is defined.
  module Apps
    TOP = [:unshareable]
  end

  def self.app(place, use)
    code = PLACES.fetch(place).gsub("USE") { use }
    Apps.module_eval("remove_const(:App) if const_defined?(:App, false)\nclass App\n#{STATE}\n#{code}\nend", __FILE__, 1)
    return Apps::App::Served if Apps::App.const_defined?(:Served, false)

    klass = Apps::App.const_defined?(:Derived, false) ? Apps::App::Derived : Apps::App
    Ractor.make_shareable(klass.new)
  end

  # Serves one request in a Ractor: nil, or the error; :unusable if a place has no such class variable.
  def self.error_in_ractor(app)
    ractor = Ractor.new(app) do |shared|
      status, _headers, body = shared.call({})
      body.each { |part| part } if status == 200
      nil
    rescue NameError
      :unusable
    rescue StandardError => e
      "#{e.class}: #{e.message}"
    end
    ractor.respond_to?(:value) ? ractor.value : ractor.take
  end

  PLACES.each_key do |place|
    define_method("test_the_verdict_about_code_#{place.tr(" '", "__")}_is_what_happens_in_a_ractor") do
      experimental, Warning[:experimental] = Warning[:experimental], false
      wrong = USES.filter_map do |use|
        app = RactorAuditCodeTest.app(place, use)
        error = RactorAuditCodeTest.error_in_ractor(app)
        next if error == :unusable

        found = Kino::RactorAudit.in_app(app).findings
        "#{use}: #{error.inspect}, but the audit says #{found.map(&:to_s)}" if error.nil? != found.empty?
      end
      assert_empty wrong
    ensure
      Warning[:experimental] = experimental
    end
  end
end
