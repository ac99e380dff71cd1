# frozen_string_literal: true

module KinoRails
  module Repairs
    # sanitize, simple_format and strip_tags use Nokogiri, whose native code is for the main Ractor only. Views in other
    # Ractors send it their text.
    module Sanitizers
      UPSTREAM = "https://github.com/sparklemotion/nokogiri/issues/3281"
      NAMES = %i[full_sanitizer link_sanitizer safe_list_sanitizer].freeze

      def self.needed?
        defined?(ActionView::Base) ? Probe.fails? { ActionView::Base.full_sanitizer.sanitize("<p>probe</p>") } : false
      end

      def self.apply
        const_set(:ORIGINALS, NAMES.to_h { |name| [name, ActionView::Base.public_send(name)] })
        [ActionView::Base, *ActionView::Base.descendants].each do |view|
          NAMES.each { |name| view.public_send(:"#{name}=", Ractor.make_shareable(InMainRactor.new(name))) }
        end
      end

      # In place of the sanitizer with that name.
      class InMainRactor
        def initialize(name)
          @name = name
        end

        def sanitize(html, options = {})
          call(:sanitize, html.to_s, options) unless html.nil?
        end

        def sanitize_css(style)
          call(:sanitize_css, style.to_s)
        end

        private

        def call(method, *arguments)
          name = @name
          given = Ractor.make_shareable(arguments.map { |argument| argument.instance_of?(ActiveSupport::SafeBuffer) ? argument.to_str : argument }, copy: true)
          Kino.main { ORIGINALS[name].public_send(method, *given) }
        end
      end
    end
  end
end
