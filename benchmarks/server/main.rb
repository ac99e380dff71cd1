# frozen_string_literal: true

# Measures servers and writes the results: see docs/benchmarking.md. benchmarks/run and benchmarks/server/run
# build its dependencies and call it.

%w[machine endpoint peer server_process generator streaming tls http2 websockets grpc rails_app row wrk sections frameworks runner baseline settings report].each do |name|
  require_relative "lib/#{name}"
end

settings = Bench::Settings.parse(ARGV)
installer = settings.installer
used = settings.sections.map { |name| Bench::Sections::SERVERS[name] }
used = used.all? ? used.flatten : settings.servers # only these are installed
peers = (settings.servers & used).map { |name| Bench::Peers.all.fetch(name) }.select do |peer|
  problem = installer.problem_with(peer)
  settings.missing << "#{peer.label}: #{problem}" if problem
  !problem
end
settings.missing.each { |line| warn "not measured: #{line}" }

%w[INT TERM].each { |signal| trap(signal) { exit 130 } }
sections = Bench::Sections.new(settings, peers)
runner = Bench::Runner.new(settings, installer)
phases = (settings.sections - Bench::Sections::PROGRAMS).map { |name| sections.public_send(name) }.reject(&:empty?)
phases.each { |matches| runner.plan(matches.sum(&:seconds) * settings.rounds) }
phases.each do |matches|
  runner.run(matches, settings.rounds)
  # Written after each phase: if the run is interrupted, only the current phase is lost.
  Bench::Report.new(settings, peers, phases.flatten.flat_map(&:rows), {}).write
end
runner.finish
others = (settings.sections & Bench::Sections::PROGRAMS).to_h do |name|
  warn "kino: benchmarks/#{name}"
  [name, IO.popen([File.join(Bench::Peers::ROOT, "benchmarks", name, "run"), *settings.for_program], &:read)]
end

report = Bench::Report.new(settings, peers, phases.flatten.flat_map(&:rows), others)
puts report.write
exit 1 if report.ours_failed?
