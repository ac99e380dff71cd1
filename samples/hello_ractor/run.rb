# frozen_string_literal: true

require "hello_ractor"

Warning[:experimental] = false
workers = Array.new(2) { Ractor.new { HelloRactor.serve { |number| number * number } } }

puts "asked by a native thread, answered by #{workers.size} Ractors:"
puts HelloRactor.ask(10).join(" ")

HelloRactor.stop
workers.each { |worker| worker.respond_to?(:value) ? worker.value : worker.take }
puts "all Ractors have left"
