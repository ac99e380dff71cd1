# frozen_string_literal: true

module WorkPool
  # Names what keeps a block and its data out of a Ractor: variables and self by file and line, data by path.
  class Audit
    attr_reader :findings

    def initialize
      @findings = []
      @seen = {}.compare_by_identity
    end

    # The variables that the block uses from outside, and its self.
    def of_proc(block)
      code = RubyVM::InstructionSequence.of(block)
      return self unless code # a method or a symbol: nothing is captured

      code = BlockCode.new(code.disasm, block.source_location.first)
      code.captured.each { |name, place| variable(block, name, place) }
      code.assigned.each { |name, place| @findings << "#{place}: the block assigns #{name}, a variable from outside it" }
      receiver = block.binding.receiver
      self_of(receiver, code, block) unless Ractor.shareable?(receiver)
      self
    end

    # The places in each of `things`, by name, that cannot be copied and frozen.
    def of(things)
      things.each { |name, thing| visit(thing, name.to_s) }
      self
    end

    private

    def variable(block, name, place)
      value = block.binding.local_variable_get(name)
      return if Ractor.shareable?(value)

      @findings << "#{place}: the block uses #{name}, #{a(value)}, which is not shareable"
    end

    def self_of(receiver, code, block)
      if Ractor.respond_to?(:shareable_proc)
        place = code.self_use(receiver) or return
        @findings << "#{place}: the block uses self, #{a(receiver)}, which is not shareable"
      else
        @findings << "#{block.source_location.join(":")}: self, #{a(receiver)}, goes with the block in this Ruby " \
                     "and is not shareable: write the block in a method of a module"
      end
    end

    def visit(thing, path)
      return if Ractor.shareable?(thing) || @seen.key?(thing)

      @seen[thing] = true
      parts = parts_of(thing, path)
      before = @findings.size
      parts.each { |part, where| visit(part, where) }
      return if @findings.size > before || copyable?(thing)

      @findings << "#{path}: #{a(thing)} cannot be shared or copied"
    end

    def parts_of(thing, path)
      parts = thing.instance_variables.map { |name| [thing.instance_variable_get(name), "#{path}.#{name}"] }
      case thing
      when Array then thing.each_with_index { |part, index| parts << [part, "#{path}[#{index}]"] }
      when Hash
        thing.each do |key, part|
          parts << [key, "#{path}.key(#{key.inspect})"] << [part, "#{path}[#{key.inspect}]"]
        end
      when Struct then thing.each_pair { |name, part| parts << [part, "#{path}.#{name}"] }
      end
      parts
    end

    def copyable?(thing)
      Ractor.make_shareable(thing, copy: true)
      true
    rescue StandardError
      false
    end

    def a(thing)
      thing.instance_of?(Object) ? thing.inspect[0, 60] : "#{"aeiou".include?(thing.class.name[0].downcase) ? "an" : "a"} #{thing.class}"
    end
  end

  # What a block's instructions say about what is outside of it.
  class BlockCode
    SECTION = /^(?:\| )*== disasm: #<ISeq:(rescue in |ensure in )?block (?:\((\d+) levels\) )?in /
    LOCAL = /\b(get|set)local(?:_WC_(\d))?\s+(\w+)@\d+(?:, (\d+))?/

    # The first place of each variable.
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

    # The first place where the block needs `receiver` and not any object: its variables, its methods, itself.
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
      receiver.respond_to?(name, true) && receiver.method(name).owner == Kernel
    end
  end
end
