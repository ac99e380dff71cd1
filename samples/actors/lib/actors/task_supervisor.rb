# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  class Task
    # Tasks that may outlive the actor that starts them: children of a supervisor, which ends them with itself. On Ruby 4.0; blocks
    # use variables with shareable values only.
    #
    #   Actors::Task::Supervisor.start(name: :mails)
    #   Actors::Task::Supervisor.start_child(Actors[:mails], "ada") { |name| deliver_to(name) }
    #   task = Actors::Task::Supervisor.async_nolink(Actors[:mails], "bob") { |name| deliver_to(name) }
    #   task.await
    module Supervisor
      # A task as a child.
      module Job
        def self.start_link(block, *args, **options)
          Actors.spawn_link(*args, **options, &block)
        end
      end

      # A task whose result its owner awaits, as a child.
      class AwaitedJob < Body
        def self.start_link(owner, block, *args, **options)
          Context.current.spawn(self, [owner, block, *args], link: true, **options)
        end

        def self.default_label((_owner, *rest)) = super(rest)
        def self.shareable_args((owner, *rest)) = [owner, *super(rest)]

        def initialize(context, owner, block, *args)
          super(context, block, *args)
          @owner = owner
        end

        # The supervisor has started it. The request to run comes from the owner, unless that has ended before.
        def turn
          watch = @context.monitor(@owner)
          case @context.receive(nil, ->(message) { message in [:call, _, [:run]] | [:DOWN, ^watch, _, _] })
          in [:call, from, _]
            @context.demonitor(watch)
            run(from)
          else :ended
          end
        end

        private

        # The supervisor hears of its end, so they stay linked.
        def finish(from, result)
          from.answer(result)
          :ended
        end
      end
      private_constant :Job, :AwaitedJob

      module_function

      def start(**options) = DynamicSupervisor.start(**options)
      def start_link(**options) = DynamicSupervisor.start_link(**options)

      # Starts a task, and returns its reference. `restart: :transient` starts one that fails again.
      def start_child(supervisor, *args, restart: :temporary, **options, &block)
        DynamicSupervisor.start_child(supervisor, Job, Shared.block(block), *args, restart: restart, **options)
      end

      # Starts a task, as Task.async; but neither ends with the other, and a task that fails is not started again.
      def async_nolink(supervisor, *args, **options, &block)
        context = Context.current
        ref = DynamicSupervisor.start_child(supervisor, AwaitedJob, context.ref, Shared.block(block), *args, restart: :temporary, **options)
        call = Native.request(ref, context.ref, [:run], false) or raise Down.new(ref, ref.reason)
        Task.new(context, ref, call)
      end
    end

    private_constant :Body
  end
end
