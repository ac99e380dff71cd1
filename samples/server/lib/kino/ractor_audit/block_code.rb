# frozen_string_literal: true

module Kino
  class RactorAudit
    # Finds a block's uses of state outside of it, from its instructions.
    class BlockCode
      SECTION = /^(?:\| )*== disasm: #<ISeq:(rescue in |ensure in )?block (?:\((\d+) levels\) )?in /
      LOCAL = /\b(get|set)local(?:_WC_(\d))?\s+(\w+)@\d+(?:, (\d+))?/

      # The first location of each variable.
      attr_reader :captured, :assigned

      def initialize(disassembly, file)
        @captured = {}
        @assigned = {}
        @own_calls = []
        @selves = []
        @variables = []
        depth = outermost = nil
        place = file
        disassembly.each_line do |line|
          if (section = SECTION.match(line))
            levels = section[2].to_i + (section[1] ? 1 : 0)
            outermost ||= [levels, 1].max
            depth = [levels, 1].max - outermost
          end
          place = "#{file}:#{$1}" if line =~ /\(\s*(\d+)\)(?:\[\w+\])?$/
          read(line, place, depth || 0)
        end
      end

      # The first location where the block needs `receiver` and not just any object: its variables, its methods, itself.
      def self_use(receiver)
        call = @own_calls.find { |name, _| !kernel?(receiver, name) }
        bare = @selves.drop(@own_calls.size).first
        (call || bare || @variables.first)&.last
      end

      private

      def read(line, place, depth)
        if (local = LOCAL.match(line)) && (local[2] || local[4]).to_i > depth
          (local[1] == "get" ? @captured : @assigned)[local[3].to_sym] ||= place
        end
        @own_calls << [$1.to_sym, place] if line =~ /mid:([^,]+), argc:\d+, [^>]*\bFCALL\b/
        @variables << [nil, place] if line =~ /\b[gs]etinstancevariable\b/
        @selves << [:self, place] if line =~ /\bputself\b/
      end

      def kernel?(receiver, name)
        Kernel.equal?(Ask.owner_of_method(receiver, name))
      end
    end
  end
end
