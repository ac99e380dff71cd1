# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # The instance variables of a server, as text: {:@count => "42"}. For debugging: the server answers when its present message
  # is handled.
  def state(server, timeout: 5)
    Context.current.ask(server, [:state], timeout)
  end

  # The supervision tree below `root` (that of the Application), as text: for each actor its id, label, the messages that wait
  # and that have arrived, and how often its supervisor has started it again.
  def tree(root = Context.current.runtime.entries[:root], timeout: 5)
    raise ArgumentError, "pass a supervisor: there is no Application" unless root

    Tree.new(timeout).draw(Ref.of(root)).join("\n")
  end

  # Draws a supervision tree.
  class Tree
    def initialize(timeout)
      @timeout = timeout
    end

    def draw(ref, restarts = nil, children = children_of(ref))
      [line(ref, restarts)] + children.each_with_index.flat_map { |child, index| branch(child, index == children.size - 1) }
    end

    private

    def branch(child, last)
      id, ref, type, restarts = child
      lines = ref ? draw(ref, restarts, type == :supervisor ? children_of(ref) : []) : ["#{id.inspect}: not running"]
      lines.each_with_index.map { |text, index| (index.zero? ? (last ? "└── " : "├── ") : (last ? "    " : "│   ")) + text }
    end

    # A supervisor that does not answer is drawn without children.
    def children_of(ref)
      Context.current.ask(ref, [:children], @timeout) || []
    rescue Error
      []
    end

    def line(ref, restarts)
      counts = "#{ref.size} waiting, #{ref.arrived} arrived"
      counts += ", #{restarts} restarts" if restarts&.positive?
      "#{ref.label} ##{ref.id} (#{ref.alive? ? counts : "ended"})"
    end
  end
  private_constant :Tree
end
