# frozen_string_literal: true

begin
  require "prism"
rescue LoadError
  require "ripper"
end

# The metrics of every method in Ruby source: its lines, and its cyclomatic complexity (McCabe: one, plus one for each
# decision: if, unless, while, until, for, when, in, rescue, ?:, && and ||).
class Complexity
  Metrics = Struct.new(:name, :line, :lines, :complexity)

  # The number of methods by complexity, over all files of this session.
  attr_reader :state

  def initialize
    @state = {}
  end

  def call(path)
    source = File.read(path, encoding: "UTF-8")
    metrics = metrics_of(source, path)
    metrics.each { |method| @state[method.complexity] = @state.fetch(method.complexity, 0) + 1 }
  end

  if defined?(Prism)
    def metrics_of(source, path)
      parsed = Prism.parse(source)
      raise SyntaxError, "#{File.basename(path)}: #{parsed.errors.first.message}" if parsed.failure?

      visitor = Visitor.new
      parsed.value.accept(visitor)
      visitor.metrics.sort_by(&:line)
    end

    # Nested methods are counted separately: a decision belongs to the innermost one.
    class Visitor < Prism::Visitor
      attr_reader :metrics

      def initialize
        super
        @metrics = []
        @decisions = 0
      end

      def visit_def_node(node)
        outside = @decisions
        @decisions = 0
        super
        place = node.location
        @metrics << Metrics.new(node.name.to_s, place.start_line, place.end_line - place.start_line + 1, @decisions + 1)
        @decisions = outside
      end

      %w[and or if unless while until for when in rescue rescue_modifier].each do |decision|
        class_eval <<~RUBY, __FILE__, __LINE__ + 1
          def visit_#{decision}_node(node)
            @decisions += 1
            super
          end
        RUBY
      end
    end
    # Prism loads its parts on first use. Load them now, before the parallel work.
    Prism.parse("nil").value.accept(Visitor.new)
  else
    def metrics_of(source, path)
      parser = Parser.new(source)
      parser.parse
      raise SyntaxError, "#{File.basename(path)}: #{parser.problem}" if parser.error?

      parser.metrics.sort_by(&:line)
    end

    # Ripper calls these while it parses; the decisions of a method are those between its `def` and its end.
    class Parser < Ripper
      attr_reader :metrics, :problem

      def initialize(source)
        super
        @metrics = []
        @open = []
        @decisions = 0
      end

      def on_kw(keyword)
        return keyword unless keyword == "def" && state.allbits?(EXPR_FNAME)

        @open << [lineno, @decisions]
        @decisions = 0
        keyword
      end

      def on_def(name, *) = close(name)

      def on_defs(_receiver, _dot, name, *) = close(name)

      def on_ident(name) = name
      alias on_const on_ident
      alias on_op on_ident
      alias on_backtick on_ident

      def on_binary(_left, operator, _right)
        @decisions += 1 if %i[&& || and or].include?(operator)
        nil
      end

      def on_parse_error(message) = @problem = message

      %w[if if_mod ifop elsif unless unless_mod while while_mod until until_mod for when in rescue
         rescue_mod].each do |decision|
        class_eval <<~RUBY, __FILE__, __LINE__ + 1
          def on_#{decision}(*)
            @decisions += 1
            nil
          end
        RUBY
      end

      private

      def close(name)
        line, outside = @open.pop
        @metrics << Metrics.new(name, line, lineno - line + 1, @decisions + 1)
        @decisions = outside
        nil
      end
    end
  end

  # The metrics of all files, by path, with the number of methods by complexity.
  def self.of(paths, **options)
    sum = proc { |one, other| one.merge(other) { |_, here, there| here + there } }
    WorkPool.map(paths, session: Complexity, merge: sum, **options) { |session, path| session.call(path) }
  end
end
