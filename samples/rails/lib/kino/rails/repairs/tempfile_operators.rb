# frozen_string_literal: true

require "tempfile"

module KinoRails
  module Repairs
    # The operators of Tempfile, which it passes on to its File, are blocks that Ractors may not call: every upload fails. The
    # same methods, written out.
    module TempfileOperators
      UPSTREAM = "https://github.com/ruby/delegate/pull/4"
      PLAIN = /\A(__|[a-zA-Z]\w*[!?]?\z)/

      def self.needed?
        Probe.fails? do
          file = Tempfile.new("probe")
          file << ""
        ensure
          file&.close!
        end
      end

      def self.apply
        owner = Tempfile.superclass
        owner.instance_methods(false).grep_v(PLAIN).each do |name|
          owner.class_eval("def #{name}(...)\n  __getobj__.__send__(:#{name}, ...)\nend", __FILE__, __LINE__)
        end
      end
    end
  end
end
