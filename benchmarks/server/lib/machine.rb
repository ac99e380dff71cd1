# frozen_string_literal: true

require "etc"
require "rbconfig"

module Bench
  # The properties of the machine that affect the results.
  module Machine
    module_function

    def cpus
      Etc.nprocessors
    end

    def jit?
      return @jit unless @jit.nil?

      @jit = system(RbConfig.ruby, "--yjit", "-e", "exit RubyVM::YJIT.enabled?", err: File::NULL) ? true : false
    end

    # The generator gets a quarter of the CPUs exclusively if there are enough.
    def load_cpus
      return nil if cpus < 4

      ((cpus - [cpus / 4, 1].max)...cpus).to_a
    end

    def server_cpus
      load_cpus && (0...load_cpus.first).to_a
    end

    def all_server_cpus
      server_cpus || (0...cpus).to_a
    end

    def server_cpu_count
      all_server_cpus.size
    end

    # The CPU time counters of all CPUs, from Linux; empty elsewhere.
    def cpu_times
      File.foreach("/proc/stat").first.split.drop(1).map(&:to_i)
    rescue Errno::ENOENT
      []
    end

    # Share of the CPU time that the hypervisor has given to other machines since then (steal time).
    def stolen_since(before)
      spent = cpu_times.zip(before).map { |now, earlier| now - earlier }.first(8)
      spent.sum.positive? ? spent.fetch(7).fdiv(spent.sum) : 0.0
    end

    def pinned(cpu_list, command)
      cpu_list ? ["taskset", "-c", cpu_list.join(","), *command] : command
    end

    def facts
      {
        commit: commit, date: Time.now.utc.strftime("%Y-%m-%d %H:%M UTC"), cpus: cpus, cpu: cpu_model,
        kernel: File.read("/proc/sys/kernel/osrelease").strip, memory_mb: File.read("/proc/meminfo")[/^MemTotal:\s+(\d+)/, 1].to_i / 1024,
        ruby: RUBY_DESCRIPTION, jit: jit? ? "YJIT, for every server" : "none",
        pinning: server_cpus ? "servers on CPUs #{list(server_cpus)}, generator on #{list(load_cpus)}" : "none: servers and generator share the #{cpus} CPUs",
        load_average: File.read("/proc/loadavg").split.first(3).join(" "), access_logs: "off"
      }
    end

    def commit
      git = ["git", "-C", __dir__]
      head = IO.popen([*git, "rev-parse", "--short", "HEAD"], err: File::NULL, &:read).strip
      return "unknown" if head.empty?

      dirty = !IO.popen([*git, "status", "--porcelain", "--untracked-files=no"], err: File::NULL, &:read).strip.empty?
      dirty ? "#{head} with changes" : head
    end

    def cpu_model
      File.foreach("/proc/cpuinfo").grep(/^model name/).first.to_s.split(": ").last.to_s.strip
    end

    def list(numbers)
      numbers.size > 1 ? "#{numbers.first}-#{numbers.last}" : numbers.first.to_s
    end
  end
end
