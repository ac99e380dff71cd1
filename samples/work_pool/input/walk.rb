# frozen_string_literal: true

# Every file below a directory.
class Walk
  include Enumerable

  def initialize(root)
    @root = root
  end

  def each(&block)
    pending = [@root]
    until pending.empty?
      path = pending.pop
      if File.directory?(path) && !File.symlink?(path)
        pending.concat(Dir.children(path).map { |name| File.join(path, name) })
      else
        block.call(path)
      end
    end
  end
end
