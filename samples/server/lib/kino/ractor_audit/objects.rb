# frozen_string_literal: true

module Kino
  class RactorAudit
    # Descends from objects to the parts that prevent sharing, level by level, so that the shortest path is reported.
    # Cycles and any depth are no problem; after a number of objects it stops.
    class Objects
      MOST_OBJECTS = 100_000
      # Of a path's steps, so many are shown.
      PATH_HEAD = 8
      PATH_TAIL = 2
      # Neither parts nor, as a rule, methods of the app.
      LEAVES = [nil, true, false, Integer, Float, Symbol].freeze

      # +copy+: whether the objects will be copied, so only parts that cannot be copied prevent sharing.
      # +most+: after how many objects it stops.
      def initialize(audit, copy: false, most: MOST_OBJECTS)
        @audit = audit
        @copy = copy
        @most = most
        @freezing = Freezing.new
        @seen = {}.compare_by_identity
        # A row is an object, the row of its parent, the path from there, and what has to be made shareable for it.
        @objects = []
        @parents = []
        @paths = []
        @roots = []
      end

      # Every object that was visited.
      def seen
        @seen.keys
      end

      # Whether nothing was left out.
      def complete?
        !@full
      end

      # Reports what prevents sharing +object+, which the report calls +name+.
      def visit(object, name)
        row = @objects.size
        push(object, nil, name, name)
        while row < @objects.size
          look(row)
          row += 1
        end
      end

      private

      def push(object, parent, path, root = @roots[parent])
        return if leaf?(object) || @seen.key?(object)
        return @full = true if @objects.size >= @most

        @seen[object] = true
        @objects << object
        @parents << parent
        @paths << path
        @roots << root
      end

      def leaf?(object)
        case object
        when *LEAVES then true
        when String then Ask.shareable?(object)
        end
      end

      def look(row)
        object = @objects[row]
        return look_at_module(object, row) if Module === object
        return if @copy && Ask.shareable?(object)

        return unless judge(object, row)

        Parts.of(object, @most).each { |part, path| push(part, row, path) }
      end

      # Whether its parts matter, too.
      def judge(object, row)
        return impossible(object, row) unless @freezing.possible?(object)

        return true if @copy || Ask.frozen?(object)
        return false if Ask.shareable?(object)

        unfrozen(object, row)
        true
      end

      # Every Ractor can use a class, but its instance variables only if they are shareable.
      def look_at_module(object, row)
        bad = Ask.variables_of(object).reject { |_, value| Ask.shareable?(value) }.keys
        return if bad.empty? || @copy

        shown = "#{bad.first(5).join(", ")}#{", ..." if bad.size > 5}"
        report(:class_state, row, "is #{Ask.name_of(object)}, whose class-level #{shown} cannot be read in a Ractor")
      end

      def impossible(object, row)
        return false if Ask.shareable?(object)

        Proc === object ? block(object, row) : native(object, row)
      end

      def native(object, row)
        report(:native, row, @copy ? "cannot be shared or copied" : "is #{Ask.a(object)}, which belongs to one Ractor", object)
        Method === object
      end

      def unfrozen(object, row)
        return if Array === @paths[row] && @paths[row].first == :variable # reported with its block
        return @audit.omit unless @audit.room?(freezing: true) # a path takes long to write

        own = @freezing.own_freeze(object)
        text = "is #{Ask.a(object, "unfrozen")}"
        text += " (#{Ask.brief(object)})" if String === object
        text += ", which its own #freeze (#{own}) has to freeze" if own
        report(:unfrozen, row, text, freezing: @roots[row])
      end

      def block(object, row)
        captures = Captures.new(@audit, object)
        captures.report(path(row), @roots[row], @freezing)
        captures.values.each { |name, value| push(value, row, [:variable, name], name.to_s) }
        true
      end

      def report(kind, row, text, object = nil, freezing: nil)
        subject = path(row)
        text = "#{subject}#{@copy && object ? ": #{Ask.a(object)}" : ""} #{text}"
        @audit.add(kind, subject: subject, text: text, freezing: freezing)
      end

      def path(row)
        steps = []
        while row
          steps.unshift(@paths[row])
          row = @parents[row]
        end
        steps = steps.map { |step| step(step) }
        left_out = steps.size - PATH_HEAD - PATH_TAIL
        return steps.join unless left_out.positive?

        "#{steps.first(PATH_HEAD).join} (and #{left_out} levels below) #{steps.last(PATH_TAIL).join}"
      end

      def step(step)
        kind, key = step
        case kind
        when :index then "[#{Ask.brief(key)}]"
        when :variable then " -> #{key}"
        when :key then ".key(#{Ask.brief(key)})"
        else step
        end
      end
    end
  end
end
