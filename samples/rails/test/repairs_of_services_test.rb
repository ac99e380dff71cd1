# frozen_string_literal: true

require "tmpdir"

require_relative "support"

# The repairs of what is outside a Ractor: the log, the database, Nokogiri.
class RepairsOfServicesTest < RepairTest
  def test_a_logger_writes_from_any_ractor_to_where_it_wrote
    path = "#{Dir.tmpdir}/kino_rails_logger_#{Process.pid}"
    assert_equal "[true, false]", child(<<~RUBY)
      require "logger"
      module Rails
        def self.logger = (@logger ||= Logger.new(#{path.inspect}, progname: "app"))
      end
      require "kino/rails/repairs"
      repair = KinoRails::Repairs::LoggerDevice
      needed = repair.needed?
      repair.apply
      LOGGER = Ractor.make_shareable(Rails.logger)
      Ractor.new { LOGGER.info("from a Ractor") }.value
      Kino::Log.flush
      p [needed, repair.needed?]
    RUBY
    assert_match(/app: from a Ractor/, File.read(path))
  ensure
    File.delete(path) if path && File.exist?(path)
  end

  def test_a_ractor_has_no_database_connections
    use = "ActiveRecord::Base.connection_handler.each_connection_pool { raise }"
    assert_repairs "DatabaseHooks", use, <<~'RUBY', /unshareable values from instance variables/
      module ActiveRecord
        class Base
          @handler = Object.new
          def @handler.each_connection_pool = yield(1)
          def self.connection_handler = @handler
        end
      end
    RUBY
  end

  def test_a_query_outside_the_main_ractor_says_where_it_belongs
    assert_equal "Kino::Error: Active Record has its connections in the main Ractor: Kino.main { ... } runs a block there", child_values(<<~'RUBY')
      module ActiveRecord
        class Base
          @handler = Object.new
          def @handler.each_connection_pool = nil
          def self.connection_handler = @handler
        end
      end
      require "kino/rails/repairs"
      KinoRails::Repairs::DatabaseHooks.apply
      p KinoRails::Probe.error { ActiveRecord::Base.connection_handler.retrieve_connection_pool("Base", role: :writing) }
    RUBY
  end

  def test_html_is_sanitized_in_the_main_ractor
    assert_equal [nil, "main: <b>"], child_values(<<~'RUBY')
      module ActiveSupport
        SafeBuffer = Class.new(String)
      end
      module ActionView
        class Base
          class << self
            attr_accessor :full_sanitizer, :link_sanitizer, :safe_list_sanitizer

            def descendants = []
          end
          sanitizer = Object.new
          def sanitizer.sanitize(html, _options = {}) = (Ractor.main? ? "main: " : raise("elsewhere")) + html
          self.full_sanitizer = self.link_sanitizer = self.safe_list_sanitizer = sanitizer
        end
      end
      require "kino/rails/repairs"
      repair = KinoRails::Repairs::Sanitizers
      repair.needed? or raise
      repair.apply
      Kino::MainRactor.start(1)
      p Ractor.new { [ActionView::Base.full_sanitizer.sanitize(nil), ActionView::Base.safe_list_sanitizer.sanitize("<b>", tags: ["b"])] }.value
    RUBY
  end
end
