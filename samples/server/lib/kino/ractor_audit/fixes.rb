# frozen_string_literal: true

module Kino
  class RactorAudit
    # What to change, in one sentence for each kind of finding, and :shared_value for constants and variables that freezing
    # mends. %<name>s is the variable, %<freezing>s what to freeze.
    module Fixes
      SHAREABLE_PROC = Ractor.respond_to?(:shareable_proc)
      PER_RACTOR = "let each Ractor create its own at the first use, as in `Ractor.current[:name] ||= ...`"

      SENTENCES = {
        unfrozen: "Call Ractor.make_shareable(%<freezing>s): it freezes the object and everything in it, so nothing may change it later.",
        block: "Call Ractor.make_shareable(%<freezing>s), which includes the block.",
        captured_variable: "Make the value shareable before the block is written, as in `%<name>s = Ractor.make_shareable(...)`; " \
                           "for state that changes, #{PER_RACTOR}.",
        assigned_variable: "Keep %<name>s in Ractor.current[:%<name>s], one for each Ractor, or outside of the process.",
        reassigned_variable: "Assign %<name>s only once, or give the block a variable of its own, as in `copy = %<name>s`.",
        self: "Pass what the block needs of its self as a shareable variable, or use a frozen object with #call.",
        unused_self: SHAREABLE_PROC ? "Write `Ractor.shareable_proc { ... }` instead: such a block has no self." :
                       "Write the block in a method of a module, whose self is the module.",
        native_block: "Use a block that is written out, or a frozen object with #call.",
        native: "Take it out of the object, and #{PER_RACTOR}.",
        unknown: "Build the app up again, part by part, to find the object.",
        class_state: "Make the values shareable when the class is loaded, with Ractor.make_shareable; for what changes, #{PER_RACTOR}.",
        shared_value: "Call Ractor.make_shareable(%<freezing>s) when the app is loaded, if nothing changes the value later; otherwise #{PER_RACTOR}.",
        constant: "Do not use the constant; #{PER_RACTOR}.",
        instance_variable: "Set it before the object is frozen, in initialize; for what changes, #{PER_RACTOR}.",
        class_variable: "Use a constant with a shareable value; for what changes, #{PER_RACTOR}.",
        class_level_variable: "Set it to a shareable value when the class is loaded; for what changes, #{PER_RACTOR}.",
        global_variable: "Use a constant with a shareable value, or ENV.",
        method: SHAREABLE_PROC ? "Use def, or `define_method(:name, &Ractor.shareable_proc { ... })`, whose self is still the object." :
                  "Use def."
      }.freeze

      # The app's own expression for "the app".
      EXPRESSIONS = { "the app" => "app" }.freeze

      def self.for(finding)
        freezing = EXPRESSIONS.fetch(finding.freezing, finding.freezing)
        kind = case finding.kind
               when :constant, :class_level_variable then freezing && :shared_value
               end
        SENTENCES.fetch(kind || finding.kind).gsub("%<name>s", finding.name.to_s).gsub("%<freezing>s", freezing.to_s)
      end
    end
  end
end
