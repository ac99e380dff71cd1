# frozen_string_literal: true

module Kino
  # Lists what prevents an app, or a block and its data, from being shared with Ractors: objects by path, and
  # variables, constants and self by file and line. It only reads: it does not freeze, call, autoload or change
  # anything, and skips what it cannot inspect. Needs no native code.
  class RactorAudit
    # How many findings are kept of those that freezing mends, and of the others.
    LIMIT = 100

    # The audit of +app+: its objects, and the state that its code reads.
    def self.in_app(app, limit: LIMIT)
      audit = new(limit: limit)
      objects = Objects.new(audit)
      objects.visit(app, "the app")
      audit.complete = objects.complete?
      audit.of_code { |methods| objects.seen.each { |object| methods.add_object(object) } }
      audit.unexplained(app) if audit.findings.empty? && !Ask.shareable?(app)
      audit
    end

    # How many findings there were beyond the limit.
    attr_reader :omitted

    # False if the app has too many objects to look at all of them.
    attr_writer :complete

    def initialize(limit: LIMIT)
      @limit = limit
      @by_hand = {}
      @by_freezing = {}
      @omitted = 0
      @complete = true
    end

    def complete?
      @complete
    end

    # What freezing does not mend comes first.
    def findings
      @by_hand.values + @by_freezing.values
    end

    # The variables that the block captures, and its self.
    def of_proc(block)
      Captures.new(self, block).visit
      self
    end

    # The paths in each of `things`, by name, to objects that can be neither shared nor copied and frozen.
    def of(things)
      objects = Objects.new(self, copy: true)
      things.each { |name, thing| objects.visit(thing, name.to_s) }
      self
    end

    # The unshareable state that the methods read which the block adds to a Methods.
    def of_code
      methods = Methods.new(self)
      yield methods
      methods.visit
      self
    end

    # Adds a Finding of that kind unless it is known.
    def add(kind, **details)
      finding = Finding.new(kind: kind, **details)
      group = finding.freezing? ? @by_freezing : @by_hand
      return if group.key?(finding.text)
      return omit unless room?(freezing: finding.freezing?)

      group[finding.text] = finding
    end

    # Whether another finding would be kept.
    def room?(freezing:)
      (freezing ? @by_freezing : @by_hand).size < @limit
    end

    # Counts a finding that was not kept.
    def omit
      @omitted += 1
    end

    # For an app that Ruby does not share, for a reason that was not found.
    def unexplained(app)
      add(:unknown, subject: "the app", text: "the app is #{Ask.a(app)} that Ruby cannot share, because of an object that " \
                                              "is hidden or too deep in it")
    end

    # The first finding of each kind, with a remark if there are more.
    def one_of_each_kind
      findings.group_by(&:kind).values.map do |first, *more|
        more.empty? ? first.to_s : "#{first} (and more of this kind)"
      end
    end
  end
end

require_relative "ractor_audit/ask"
require_relative "ractor_audit/block_code"
require_relative "ractor_audit/captures"
require_relative "ractor_audit/code"
require_relative "ractor_audit/constants"
require_relative "ractor_audit/finding"
require_relative "ractor_audit/fixes"
require_relative "ractor_audit/freezing"
require_relative "ractor_audit/methods"
require_relative "ractor_audit/objects"
require_relative "ractor_audit/parts"
require_relative "ractor_audit/reach"
