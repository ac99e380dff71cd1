# frozen_string_literal: true

# Measures single steps in interleaved rounds and prints a Markdown table:
# run.rb [--rounds N] [--seconds S] [--json FILE]
# benchmarks/micro/run builds what it needs and calls this.

require "json"
require "optparse"

require "micro_bench"

rounds = 3
seconds = 0.5
json = nil
OptionParser.new do |options|
  options.on("--rounds N", Integer) { |value| rounds = value }
  options.on("--seconds S", Float) { |value| seconds = value }
  options.on("--json FILE") { |path| json = File.expand_path(path) }
end.parse!

MICRO = File.join(ENV.fetch("KINO_BENCH_NATIVE"), "micro")
CALLS = 200_000
IN_RUBY = {
  ["a String for 20 known bytes", "kino, fixed set"] => :find,
  ["a String for 20 known bytes", "kino, learnt"] => :intern,
  ["a String for 20 known bytes", "rb_interned_str"] => :ruby_interned,
  ["a String for 20 known bytes", "rb_str_new"] => :ruby_new,
  ["release and reacquire the GVL", "kino::without_gvl"] => :release,
  ["release and reacquire the GVL", "rb_thread_call_without_gvl"] => :ruby_release
}.freeze

def line(text) = text.chomp.split("\t")

measured = Hash.new { |all, key| all[key] = [] }
count = IO.popen([MICRO, "--list"], &:readlines).size
rounds.times do |round|
  count.times do |number|
    $stderr.print "\r\e[Kround #{round + 1} of #{rounds}, #{number + 1} of #{count} " if $stderr.tty?
    operation, implementation, value, unit = line(IO.popen([MICRO, number.to_s, seconds.to_s], &:read))
    measured[[operation, implementation, unit]] << value.to_f
  end
  IN_RUBY.each do |(operation, implementation), name|
    measured[[operation, implementation, "ns"]] << MicroBench.public_send(name, CALLS)
  end
  # In two Ractors, where Ruby's own table of interned Strings takes a lock.
  Warning[:experimental] = false
  pair = Array.new(2) { Ractor.new { %i[find ruby_interned].to_h { |name| [name, MicroBench.public_send(name, CALLS)] } } }
  results = pair.map { |ractor| ractor.respond_to?(:value) ? ractor.value : ractor.take }
  { find: "kino, fixed set", ruby_interned: "rb_interned_str" }.each do |name, implementation|
    measured[["a String for 20 known bytes, in 2 Ractors at once", implementation, "ns"]] << results.sum { |result| result[name] } / results.size
  end
end
$stderr.print "\r\e[K" if $stderr.tty?

def formatted(number) = number < 1000 ? format("%.1f", number) : number.round.to_s.reverse.scan(/\d{1,3}/).join(",").reverse

puts "#{rounds} rounds, interleaved; median (lowest to highest)"
puts
puts "| operation | implementation | result |"
puts "| --- | --- | --- |"
measured.group_by { |(operation, _, _), _| operation }.each_value do |same|
  same.each do |(operation, implementation, unit), values|
    spread = " (#{formatted(values.min)} to #{formatted(values.max)})" if values.size > 1
    puts "| #{operation} | #{implementation} | #{formatted(values.sort[values.size / 2])} #{unit}#{spread} |"
  end
end
File.write(json, JSON.generate(measured.map { |(operation, implementation, unit), values|
  { operation: operation, implementation: implementation, unit: unit, values: values }
})) if json
