# frozen_string_literal: true

require "kino/collections"

PATHS = Kino::Channel.new(8)
LINES = Kino::Channel.new(8, copy: true) # what is pushed need not be frozen

counters = Array.new(2) do
  Ractor.new do
    PATHS.each { |path| LINES << [File.basename(path), File.foreach(path).count] }
  end
end

files = Dir[File.join(__dir__, "lib/**/*.rb")].sort.map(&:freeze)
sender = Thread.new do
  files.each { |path| PATHS << path }
  PATHS.close
end

counted = Array.new(files.size) { LINES.pop }
puts "#{counted.size} files were counted by 2 Ractors, each once: #{counted.map(&:first).sort == files.map { |path| File.basename(path) }.sort}"
puts "the channel is closed and empty: #{[PATHS.closed?, PATHS.pop].inspect}"
sender.join
counters.each { |ractor| ractor.respond_to?(:join) ? ractor.join : ractor.take }

SIZES = Kino::Map.new
CALLS = Kino::Counter.new
measurers = Array.new(2) do
  Ractor.new(Ractor.make_shareable(files)) do |paths|
    paths.each do |path|
      CALLS.add
      SIZES.update(File.extname(path)) { |sum| (sum || 0) + File.size(path) }
    end
  end
end
measurers.each { |ractor| ractor.respond_to?(:join) ? ractor.join : ractor.take }
puts "the sum of 2 Ractors is twice the size: #{SIZES.to_h == { ".rb" => 2 * files.sum { |path| File.size(path) } }}"
puts "the map was updated once per file and Ractor: #{CALLS.value == 2 * files.size}"

begin
  PATHS << +"not frozen"
rescue TypeError => e
  puts e.message[/an unshareable object.*?:/]
end
