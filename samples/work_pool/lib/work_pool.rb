# frozen_string_literal: true

require "etc"
require "kino/ractor_audit"
require "work_pool_native"
require_relative "work_pool/forks"
require_relative "work_pool/job"
require_relative "work_pool/marking"
require_relative "work_pool/ractors"
require_relative "work_pool/result"

# Parallel map for CPU-bound Ruby code.
#
#   results = WorkPool.map(paths, session: Analyser, configuration: { limit: 10 }) do |analyser, path|
#     analyser.call(path)
#   end
#   results.values    # in the order of the paths
#   results.backend   # :ractor, :fork or :sequential; `reason` says why the preceding backend was not used
module WorkPool
  # No backend can do the work as requested; the message has the audit's findings, one per line.
  class Unfit < StandardError
  end

  # The remaining work, in seconds, from which workers are worthwhile. Starting them costs about a millisecond, and Ruby
  # itself is slightly slower after the first Ractor.
  WORTH_WORKERS = 0.02
  # After this time in seconds, workers are started without an estimate of the remaining work.
  LONGEST_HEAD_START = 0.1

  module_function

  # Calls the block with a session and an input for each of `inputs`; returns a Result.
  #
  # * `session` is a class, and `configuration` the argument of its `new` unless it is nil: every worker creates its
  #   own session, once. Live sessions never leave their worker. Without a session, the block gets nil.
  # * An input or configuration that is not shareable is copied and frozen, for every backend, so all backends behave
  #   alike.
  # * If the block raises, the result for that input is a Failure, and the map continues.
  # * `backend` is :ractor, :fork or :sequential; by default the first of these that can do the work. If the requested
  #   backend cannot, Unfit is raised.
  # * `progress` is called in the caller's thread with the number of finished inputs and of all inputs.
  # * `merge` combines two results of the sessions' `state` when the work is done, in any order.
  # * The caller works alone for `head_start` seconds, and up to a tenth of a second if the remaining work seems too
  #   small for workers; in both cases one input longer. A small job therefore does not pay for Ractors. Set it to 0
  #   for few inputs that each take long.
  #
  # Ctrl-C, Timeout, Thread#kill and an exception from `progress` end the map immediately: forked workers are killed,
  # Ractors finish their current input and leave.
  def map(inputs, session: nil, configuration: nil, workers: Etc.nprocessors, backend: nil, progress: nil,
    merge: nil, head_start: 0.003, &block)
    raise ArgumentError, "WorkPool.map needs a block" unless block
    raise ArgumentError, "workers must be at least 1, not #{workers.inspect}" unless workers.is_a?(Integer) && workers >= 1
    unless [nil, :ractor, :fork, :sequential].include?(backend)
      raise ArgumentError, "backend is :ractor, :fork or :sequential, not #{backend.inspect}"
    end

    inputs, configuration, copied = Job.copies(inputs.to_a, configuration)
    job = Job.new(session, configuration, block)
    Run.new(job, inputs, workers, progress, copied).with(backend, head_start).result(merge)
  end

  # All reasons why `block`, and the other objects by name, cannot be sent to a Ractor; empty if there are none.
  def audit(block, **others)
    audit = Kino::RactorAudit.new.of_proc(block).of(others)
    audit.of_code { |methods| methods.add_object(block) }.findings.map(&:to_s)
  end
end

require_relative "work_pool/run"
