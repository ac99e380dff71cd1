# frozen_string_literal: true

require_relative "support"

# Each repair with a small stand-in of what it repairs: in a Ractor the stand-in fails, the repair sees that, and afterwards it works.
class RepairsTest < RepairTest
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
end
