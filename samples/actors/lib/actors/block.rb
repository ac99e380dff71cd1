# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # The actor of `Actors.spawn`: its one turn is the block.
  class Block
    def self.obeys_parent? = false
    def self.default_label((block))
      path, line = (block || Shared.block(nil)).source_location
      "#{File.basename(path)}:#{line}"
    end

    # The arguments for an actor in another Ractor.
    def self.shareable_args((block, *args))
      [Shared.block(block), *Shared.arguments(args)]
    end

    def initialize(_context, block, *args)
      @block = block
      @args = args
    end

    def turn
      Actors.instance_exec(*@args, &@block)
      :ended
    end

    # A request of the runtime.
    def obey(request)
      raise Exit.new(request[1]) if request.first == :stop
    end

    def terminate(_reason); end
    def details = nil
  end
end
