# frozen_string_literal: true
# SPDX-License-Identifier: MIT

# Turns the examples in a header's comments into a program, so that they are compiled and run:
#
#   ruby extract.rb include/kino/channel.hpp channel.cpp
#   ruby extract.rb --check HEADER...    fails if a header documents something without an example

# The examples of one header: the indented blocks of a /// comment from its line "Example:" on.
class Header
  Block = Struct.new(:line, :code)
  INCLUDE = /^#include <(.+)>/
  EXAMPLE = %r{^\s*/// Example(?<kind>.*):}

  attr_reader :path

  def initialize(path)
    @path = path
    @lines = File.readlines(path, chomp: true)
  end

  def name = File.basename(path, ".hpp")
  def documents_something? = @lines.any? { |line| line.start_with?("///") }
  def example? = @lines.any? { |line| EXAMPLE.match?(line) }

  def blocks
    found = []
    runnable = open = false
    @lines.each.with_index(1) do |line, number|
      if (match = EXAMPLE.match(line)) || !line.lstrip.start_with?("///")
        runnable = match && match[:kind].empty?
        open = false
      elsif runnable && (code = line[%r{^\s*///     (.*)}, 1])
        found << Block.new(number, []) unless open
        open = true
        found.last.code << code
      elsif line.strip != "///"
        open = false # Prose between two examples.
      end
    end
    found
  end

  def program
    <<~CPP
      // Made from the examples in #{path}.
      #undef NDEBUG
      #{includes.map { |file| "#include <#{file}>" }.join("\n")}

      #{blocks.each_with_index.map { |block, i| function(block, i) }.join("\n")}
      int main() {
      #{blocks.each_index.map { |i| "  example_#{i}();" }.join("\n")}
      }
    CPP
  end

  private

  def includes
    used = blocks.flat_map { |block| block.code.join("\n").scan(/\bkino::(\w+)/).flatten }.uniq
    others = used.map { |word| "kino/#{word}.hpp" }.select { |file| File.exist?(File.join(root, file)) }
    ["kino/#{name}.hpp", *others, "cassert", "chrono", "string", *named].uniq
  end

  # What the examples include themselves; a function cannot.
  def named = blocks.flat_map { |block| block.code.filter_map { |line| line[INCLUDE, 1] } }

  def root = File.expand_path("..", File.dirname(path))

  def function(block, index)
    <<~CPP
      static void example_#{index}() {
      #line #{block.line} "#{path}"
      #{block.code.map { |line| INCLUDE.match?(line) ? "" : line }.join("\n")}
      }
    CPP
  end
end

if ARGV.first == "--check"
  without = ARGV.drop(1).map { |path| Header.new(path) }.select { |h| h.documents_something? && !h.example? }
  abort without.map { |h| "#{h.path}: no example; add an 'Example:' block to a /// comment" }.join("\n") if without.any?
else
  source, target = ARGV
  File.write(target, Header.new(source).program)
end
