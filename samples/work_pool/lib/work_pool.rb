# frozen_string_literal: true

require "etc"
require "kino/ractor_audit"
require "work_pool_native"
require_relative "work_pool/forks"
require_relative "work_pool/job"
require_relative "work_pool/marking"
require_relative "work_pool/ractors"
require_relative "work_pool/result"

# Parallel map for Ruby code that computes.
#
#   figures = WorkPool.map(paths, session: Analyser, configuration: { limit: 10 }) do |analyser, path|
#     analyser.call(path)
#   end
#   figures.values    # in the order of the paths, whatever finished first
#   figures.backend   # :ractor, :fork or :sequential, and `reason` says why it is not the one before
module WorkPool
  # Nothing can do the work the way it was asked for; the message has the audit's findings, one per line.
  class Unfit < StandardError
  end

  # How much work must be left, in seconds, for workers to pay. Bringing them in costs about a millisecond, and Ruby
  # itself is a little slower from the first Ractor on.
  WORTH_WORKERS = 0.02
  # After so many seconds workers are brought in without a guess at what is left.
  LONGEST_HEAD_START = 0.1

  module_function

  # Calls the block with a session and an input for each of `inputs`; returns a Result.
  #
  # * `session` is a class and `configuration` what its `new` gets, unless it is nil: every worker builds its
  #   own session, once. Live sessions never cross. Without a session the block gets nil.
  # * An input or configuration that is not shareable is copied and frozen, for every backend, so that none
  #   behaves unlike the others.
  # * What the block raises becomes a Failure in that input's place and stops nothing.
  # * `backend` is :ractor, :fork or :sequential; none: the first of these that can do it. A backend that is
  #   named is used, or Unfit is raised.
  # * `progress` is called in the caller's thread with the number of inputs that are done and of all.
  # * `merge` combines two of what sessions return from `state` when the work is done; the order is not fixed.
  # * The caller works alone for `head_start` seconds, and up to a tenth of a second if less work seems to be left
  #   than workers are worth; in both cases one input longer. So a small job does not pay for Ractors. Make it 0
  #   for few inputs that each take long.
  #
  # Ctrl-C, Timeout, Thread#kill and whatever `progress` raises end the map at once: forked workers are killed,
  # Ractors finish the input they have and leave.
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

  # Every reason why `block`, and the other things by name, cannot go to a Ractor; empty if nothing is in the way.
  def audit(block, **others)
    audit = Kino::RactorAudit.new.of_proc(block).of(others)
    audit.of_code { |methods| methods.add_object(block) }.findings
  end
end

require_relative "work_pool/run"
