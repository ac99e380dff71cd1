# frozen_string_literal: true

module Kino
  class RactorAudit
    # One thing that prevents sharing, or that code cannot use in a Ractor.
    #
    # +kind+ is a key of Fixes::SENTENCES; docs/ractors.md describes each. +subject+ is the path to an object, such as "the app.@routes", or the name
    # of a method. +file+ and +line+ are where the code uses it, or where a block was written; nil for other objects.
    # +defined_at+ is where it was defined, as "FILE:LINE". +freezing+ is what Ractor.make_shareable has to be called
    # with to mend it, such as "the app"; nil if freezing does not mend it.
    Finding = Struct.new(:kind, :subject, :text, :file, :line, :defined_at, :freezing, :name, keyword_init: true) do
      def initialize(place: nil, **rest)
        super(**rest)
        self.file, self.line = $1, $2.to_i if place && place.to_s =~ /\A(.*):(\d+)\z/m
        freeze
      end

      # The finding in one sentence.
      def to_s
        text
      end

      def freezing?
        !freezing.nil?
      end

      # What to do, in one sentence.
      def fix
        Fixes.for(self)
      end

      # As documented in docs/ractors.md, without code units that JSON cannot have.
      def to_h
        { "kind" => kind.to_s, "subject" => subject, "text" => text, "file" => file, "line" => line,
          "defined_at" => defined_at, "freezing_mends" => freezing?, "fix" => fix }.transform_values { |value| plain(value) }
      end

      private

      def plain(value)
        String === value ? value.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub("?") : value
      end
    end
  end
end
