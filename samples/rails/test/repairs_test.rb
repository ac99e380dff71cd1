# frozen_string_literal: true

require "tmpdir"

require_relative "support"

# Each repair with a small stand-in of what it repairs: in a Ractor the stand-in fails, the repair sees that, and afterwards it works.
class RepairsTest < ChildTest
  def setup
    need_ractors
  end

  # +ruby+ defines the stand-in and, in +use+, is what a Ractor does with it.
  def assert_repairs(repair, use, ruby, expected_error, *libraries)
    before, needed, after = child_values(<<~PROGRAM, *libraries.map { |library| "-r#{library}" })
      #{ruby}
      require "kino/rails/repairs"
      repair = KinoRails::Repairs::#{repair}
      before = KinoRails::Probe.error { #{use} }
      needed = repair.needed?
      repair.apply
      p [before, needed, KinoRails::Probe.error { #{use} }]
    PROGRAM
    assert_nil after
    assert_equal !before.nil?, needed, "whether it is needed, and whether it says so"
    skip "what is loaded does not need it any more" if before.nil?

    assert_match expected_error, before
  end

  def test_methods_of_renderers_can_be_called
    assert_equal [nil, "RuntimeError: defined with an un-shareable Proc in a different Ractor"], child_values(<<~'RUBY')
      require "kino/rails/repairs"
      KinoRails::Repairs.early
      module ActionController
        module Renderers
          define_method(:render_json) { 1 }
          module_function :render_json
        end
        module Others
          define_method(:render_json) { 1 }
          module_function :render_json
        end
      end
      p [KinoRails::Probe.error { ActionController::Renderers.render_json }, KinoRails::Probe.error { ActionController::Others.render_json }]
    RUBY
  end

  def test_a_block_that_cannot_be_shared_defines_a_method_nevertheless
    assert_equal "2", child(<<~'RUBY')
      require "kino/rails/repairs"
      KinoRails::Repairs.early
      module ActionController
        module Renderers
          count = 1
          count += 1
          define_method(:render_count) { count }
          module_function :render_count
        end
      end
      p ActionController::Renderers.render_count
    RUBY
  end

  def test_callbacks_leave_frozen_conditions_alone
    assert_equal [true, [], [:odd]], child_values(<<~'RUBY')
      module ActiveSupport
        module Callbacks
          class Callback
            attr_reader :conditions

            def initialize(conditions) = @conditions = check_conditionals(conditions)

            private

            def check_conditionals(conditionals) = Array(conditionals).map! { |one| one }
          end

          def self.included(owner)
            owner.define_singleton_method(:define_callbacks) { |*| nil }
            owner.define_singleton_method(:set_callback) { |*, **options| Callback.new(options[:if]) }
          end
        end
      end
      require "kino/rails/repairs"
      repair = KinoRails::Repairs::CallbackConditions
      needed = repair.needed?
      repair.apply
      p [needed, repair.needed? ? [:still] : [], ActiveSupport::Callbacks::Callback.new([:odd].freeze).conditions]
    RUBY
  end

  def test_digests_and_ciphers_can_be_made
    digests = child_values(<<~'RUBY')
      require "openssl"
      expected = [OpenSSL::Digest::SHA256.hexdigest("a"), OpenSSL::Digest::SHA1.new("a").hexdigest, OpenSSL::Cipher::AES.new(256, :CBC).name,
                  OpenSSL::Cipher::AES256.new.name, OpenSSL::Cipher::AES128.new("GCM").name]
      require "kino/rails/repairs"
      KinoRails::Repairs.apply([KinoRails::Repairs::OpenSSLMethods])
      p [expected, Ractor.new { [OpenSSL::Digest::SHA256.hexdigest("a"), OpenSSL::Digest::SHA1.new("a").hexdigest, OpenSSL::Cipher::AES.new(256, :CBC).name,
                                 OpenSSL::Cipher::AES256.new.name, OpenSSL::Cipher::AES128.new("GCM").name] }.value]
    RUBY
    assert_equal(*digests)
  end

  def test_digests_fail_without_it
    assert_repairs "OpenSSLMethods", 'OpenSSL::Digest::SHA256.hexdigest("a"); OpenSSL::Cipher::AES256.new', "", /un-shareable Proc/, "openssl"
  end

  def test_uploads_can_be_written
    assert_repairs "TempfileOperators", 'file = Tempfile.new("a"); file << "text"; file.rewind; raise file.read unless file.read == "" || file.close!',
                   "", /un-shareable Proc/, "tempfile"
  end

  def test_class_variables_can_be_read
    skip "this Ruby lets Ractors read class variables" unless child("require 'kino/rails/probe'; p KinoRails::Probe.class_variables_readable?") == "false"

    assert_repairs "ClassVariables", "Rails::Stand.setting or raise", <<~'RUBY', /class variables/
      module Rails
        class Stand
          @@setting = :a
          def self.setting; @@setting; end
        end
      end
    RUBY
  end

  def test_readers_with_logic_of_their_own_and_other_namespaces_stay
    assert_equal "[4, 5]", child(<<~'RUBY')
      module Rails
        class Stand
          @@setting = 1
          def self.setting; @@setting + 1; end
        end
      end
      class Others
        @@setting = 1
        def self.setting; @@setting; end
      end
      require "kino/rails/repairs"
      KinoRails::Repairs::ClassVariables.apply
      Rails::Stand.class_variable_set(:@@setting, 3)
      Others.class_variable_set(:@@setting, 5)
      p [Rails::Stand.setting, Others.setting]
    RUBY
  end

  def test_class_state_can_be_read
    assert_repairs "ClassState", "ActionView::PathRegistry.paths; Rails.env; Stand.config; Rails::VERSION::STRING", <<~'RUBY', /unshareable values from instance variables/
      module ActionView
        module PathRegistry
          @view_paths_by_class = { Object => ["views"] }
          def self.paths = @view_paths_by_class
        end
      end
      module Rails
        @_env = +"production"
        def self.env = @_env
        module VERSION
          STRING = [8, 2].join(".")
        end
      end
      class Stand
        @__class_attr_config = { a: "b" }
        def self.config = @__class_attr_config
      end
    RUBY
  end

  def test_plain_constants_can_be_read
    assert_repairs "PlainConstants", "ActionView::Stand::NAMES.first", "module ActionView; module Stand; NAMES = ['a']; end; end", /non-shareable objects in constant/
  end

  def test_constants_with_objects_stay
    assert_equal "[false, false, true]", child(<<~'RUBY')
      module ActionView
        CACHE = Hash.new { |hash, key| hash[key] = 1 }
        QUEUE = Thread::Queue.new
        NAMES = [["a"]]
      end
      require "kino/rails/repairs"
      KinoRails::Repairs::PlainConstants.apply
      p [ActionView::CACHE.frozen?, ActionView::QUEUE.frozen?, Ractor.shareable?(ActionView::NAMES)]
    RUBY
  end

  def test_message_formats_are_known
    assert_repairs "MessageFormats", "ActiveSupport::Messages::SerializerWithFallback::MessagePackWithFallback.dumped?('a')", <<~'RUBY', /can not set instance variables/
      module ActiveSupport
        module Messages
          module SerializerWithFallback
            module MessagePackWithFallback
              def dumped?(text) = available? && text.empty?

              private def available?
                return @available if defined?(@available)

                @available = false
              end
              extend self
            end
            module MessagePackWithFallbackAllowMarshal
              include MessagePackWithFallback
              extend self
            end
          end
        end
      end
    RUBY
  end

  def test_parameters_are_wrapped
    assert_repairs "ParameterWrapping", "StandController._wrapper_options.then { |options| [options.name, options.include, options.model] == ['stand', ['a'], Integer] or raise }", <<~'RUBY', /unshareable values|non-shareable/
      module ActionController
        module ParamsWrapper
          class Options < Struct.new(:name, :include, :klass, :model)
            def initialize(*)
              super
              @mutex = Mutex.new
            end

            def model = super || self.model = Integer
            def name = @mutex.synchronize { super || self.name = "stand" }
            def include = @mutex.synchronize { super || self.include = ["a"] }
          end
        end
      end
      class StandController
        @options = ActionController::ParamsWrapper::Options.new(nil, nil, self)
        def self._wrapper_options = @options
      end
    RUBY
  end

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
