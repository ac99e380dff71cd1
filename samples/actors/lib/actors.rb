# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# Actors with supervisors and registries, in Ractors or Threads. README.md has examples.

require "kino/collections"
require "kino_actors"
require_relative "actors/errors"
require_relative "actors/shared"
require_relative "actors/ref"
require_relative "actors/context"
require_relative "actors/receiving"
require_relative "actors/report"
require_relative "actors/telemetry"
require_relative "actors/block"
require_relative "actors/timetable"
require_relative "actors/worker"
require_relative "actors/heap_reserve"
require_relative "actors/runtime"
require_relative "actors/simulation"
require_relative "actors/gen_server"
require_relative "actors/server_loop"
require_relative "actors/names"
require_relative "actors/child_spec"
require_relative "actors/supervisor"
require_relative "actors/dynamic_supervisor"
require_relative "actors/registry"
require_relative "actors/task"
require_relative "actors/task_supervisor"
require_relative "actors/agent"
require_relative "actors/timers"
require_relative "actors/application"
require_relative "actors/port"
require_relative "actors/introspection"

# These functions act for the actor that calls them. In the block of `spawn` they need no receiver, because it is self there.
# Code outside of actors may call them, too: each Thread has a mailbox.
module Actors
  extend self

  # Starts an actor that runs the block with `args`, and returns its reference.
  #
  # * `isolation:` is `:shared` (many actors on a few Ractors, the default), `:own` (a Ractor for this actor) or `:thread` (a
  #   Thread of the main Ractor: the block may use any object). Ruby before 4.0 has only `:thread`.
  # * `capacity:` is the number of messages that its mailbox holds.
  # * `label:` appears in `inspect` and in crash reports.
  def spawn(*args, **options, &block)
    Context.current.spawn(Block, [block, *args], **options)
  end

  # As `spawn`, and links the new actor to this one.
  def spawn_link(*args, **options, &block)
    Context.current.spawn(Block, [block, *args], link: true, **options)
  end

  # As `spawn`, and monitors the new actor: returns [reference, monitor].
  def spawn_monitor(*args, **options, &block)
    context = Context.current
    watch = nil
    ref = context.spawn(Block, [block, *args], **options) { |created| watch = context.monitor(created) }
    [ref, watch]
  end

  # The reference of the actor that calls.
  def current
    Context.current.ref
  end

  # Removes the next message from the mailbox, and returns it. Waits for one: at most `timeout` seconds, then returns nil.
  #
  # With a block, takes the first message for which the block is true, and leaves the others in order.
  def receive(timeout: nil, &match)
    Context.current.receive(timeout, match)
  end

  # Seconds of the clock that all waits use.
  def now
    Context.current.now
  end

  # Waits.
  def sleep(seconds)
    Context.current.pause(seconds)
  end

  # Lets other actors of the same Ractor run, if this one has run for more than a slice of time. For the loops of shared actors that
  # compute; costs little if it is called often.
  def pass
    Context.current.interleave
  end

  # Sends [:DOWN, monitor, actor, reason] to this actor when `ref` ends, exactly once, and at once if it has ended. Returns
  # the monitor, an Integer.
  def monitor(ref)
    Context.current.monitor(ref)
  end

  # Ends a monitor; its message will not be received any more.
  def demonitor(watch)
    Context.current.demonitor(watch)
  end

  # If one of the two fails, so does the other (`trap_exit`).
  def link(ref)
    Context.current.link(ref)
  end

  def unlink(ref)
    Context.current.unlink(ref)
  end

  # From now on, this actor gets [:EXIT, actor, reason] as a message instead of ending with a linked actor.
  def trap_exit(on = true)
    Context.current.trap_exit = on
  end

  # exit(reason) ends this actor. exit(ref, reason) sends a signal to another: it ends with that reason, unless it traps it;
  # `:kill` cannot be trapped. The signal takes effect when that actor next waits or takes a message; an actor that is a Thread is
  # killed at once.
  def exit(ref = nil, reason)
    return Context.current.exit(ref, reason) if ref

    raise Exit.new(reason == :kill ? :killed : Shared.copy(reason, "the reason"))
  end
end
