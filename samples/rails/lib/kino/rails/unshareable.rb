# frozen_string_literal: true

module KinoRails
  # The blocks of the application that Rails tried to make shareable in vain: those of callbacks, for example, that read a
  # local variable from outside. Those of Rails itself are not used by requests.
  module Unshareable
    BLOCKS = []

    # From now on, Rails makes blocks shareable as it gets them, and the others are recorded here.
    def self.watch
      ActiveSupport::Ractors.unshareable_proc_action ||= :raise
      ActiveSupport::Ractors.singleton_class.prepend(Recorder)
    end

    # "config/initializers/a.rb:3"
    def self.places(root)
      BLOCKS.map { |block| block.source_location.first(2).join(":") }.uniq.grep(/\A#{Regexp.escape(root.to_s)}/)
    end

    # Returns what cannot be made shareable as it is.
    module Recorder
      def try_shareable_proc(proc = nil, &block) = record(proc || block) { super }

      def try_shareable_lambda(receiver, &block) = record(block) { super }

      def try_make_shareable(object, **) = record(object) { super }

      private

      def record(object)
        result = yield
        BLOCKS << object if object.is_a?(Proc) && !Ractor.shareable?(result)
        result
      rescue Ractor::IsolationError, ArgumentError
        BLOCKS << object if object.is_a?(Proc)
        object
      end
    end
    private_constant :BLOCKS
  end
end
