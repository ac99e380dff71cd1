# frozen_string_literal: true

# Measures servers and writes what it found: see docs/benchmarks.md. benchmarks/run and benchmarks/server/run
# build what this needs and call it.

%w[machine endpoint peer server_process generator streaming row sections frameworks runner baseline settings report].each do |name|
  require_relative "lib/#{name}"
end

settings = Bench::Settings.parse(ARGV)
installer = settings.installer
peers = settings.servers.map { |name| Bench::Peers.all.fetch(name) }.select do |peer|
  problem = installer.problem_with(peer)
  settings.missing << "#{peer.say}: #{problem}" if problem
  !problem
end
settings.missing.each { |line| warn "not measured: #{line}" }

%w[INT TERM].each { |signal| trap(signal) { exit 130 } }
sections = Bench::Sections.new(settings, peers)
runner = Bench::Runner.new(settings, installer)
phases = (settings.sections - Bench::Sections::PROGRAMS).to_h { |name| [name, sections.public_send(name)] }.reject { |_, blocks| blocks.empty? }
rounds = phases.to_h { |name, _| [name, name == "closed" ? settings.rounds : settings.sweep_rounds] }
phases.each { |name, blocks| runner.plan(blocks.sum(&:seconds) * rounds[name]) }

baseline = settings.sections.include?("closed") && settings.endpoints.include?("cpu") ? Bench::Baseline.new : nil
phases.each do |name, blocks|
  rounds[name].times { baseline&.measure } if name == "closed"
  runner.run(blocks, rounds[name])
end
runner.finish
others = (settings.sections & Bench::Sections::PROGRAMS).to_h do |name|
  warn "kino: benchmarks/#{name}"
  [name, IO.popen([File.join(Bench::Peers::ROOT, "benchmarks", name, "run"), *settings.for_program], &:read)]
end

report = Bench::Report.new(settings, peers, phases.values.flatten.flat_map(&:rows), baseline, others)
puts report.write
exit 1 if report.ours_failed?
