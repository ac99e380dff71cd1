# frozen_string_literal: true

require_relative "support"

# The repair of the real I18n, and of values that Active Support remembers.
class TranslationsTest < ChildTest
  SETUP = <<~'RUBY'
    require "i18n"
    require "kino/rails/repairs"
    I18n.backend.store_translations(:en, hello: "Hello %{name}", note: { one: "one", other: "%{count} notes" }, list: %w[a b], date: { formats: { default: "%Y" } })
    I18n.backend.store_translations(:de, hello: "Hallo %{name}", called: ->(*) { "called" })
    REPAIR = KinoRails::Repairs::Translations
    USE = Ractor.shareable_lambda do
      answers = [I18n.t(:hello, name: "x"), I18n.with_locale(:de) { I18n.t("hello", name: "y") }, I18n.t(:note, count: 1), I18n.t(:note, count: 2),
                 I18n.t(:list), I18n.t("list.1", default: "none"), I18n.t(:missing), I18n.l(Struct.new(:day) { def strftime(format) = format }.new(1)),
                 I18n.transliterate("ä"), I18n.exists?(:hello), I18n.t(:called, locale: :de), I18n.locale]
      answers << (begin I18n.t(:hello, locale: :fr) rescue $!.class end) << (begin I18n.t(:hello, other: 1) rescue $!.class end)
      answers.inspect
    end
  RUBY

  def setup
    need_ractors
  end

  def with_gem(name)
    skip "the gem #{name} is not installed" if Gem::Specification.none? { |gem| gem.name == name }
    yield
  end

  def test_a_ractor_translates_as_the_main_one_does
    with_gem("i18n") do
      before, needed, expected, after, needed_again = child_values(<<~RUBY)
        #{SETUP}
        before = Ractor.new { begin USE.call rescue $!.class.name end }.value
        expected = USE.call
        needed = REPAIR.needed?
        REPAIR.apply
        p [before, needed, expected, Ractor.new { USE.call }.value, REPAIR.needed?]
      RUBY
      assert_equal "Ractor::IsolationError", before
      assert needed
      assert_equal expected, after
      refute needed_again
    end
  end

  def test_a_fallback_is_used
    with_gem("i18n") do
      assert_equal "Hello x", child_values(<<~RUBY)
        require "i18n"
        require "i18n/backend/fallbacks"
        I18n::Backend::Simple.include(I18n::Backend::Fallbacks)
        I18n.fallbacks = I18n::Locale::Fallbacks.new(:en, de: :en)
        #{SETUP.sub('de, hello: "Hallo %{name}"', "de, other: 1")}
        REPAIR.apply
        p Ractor.new { I18n.t(:hello, name: "x", locale: :de) }.value
      RUBY
    end
  end

  REMEMBERED = <<~'RUBY'
    require "logger"
    require "active_support"
    require "active_support/all"
    I18n.backend.store_translations(:de, hello: "Hallo")
    module Rails
      DEPRECATOR = ActiveSupport::Deprecation.new("2", "stand-in")
      DEPRECATOR.behavior = :silence
      def self.application = self
      def self.deprecators = [DEPRECATOR]
      def self.credentials = raise("there is no key")
    end
    require "kino/rails/repairs"
    KinoRails::Repairs.apply([KinoRails::Repairs::Translations, KinoRails::Repairs::RememberedValues] & ARGV.map { |name| KinoRails::Repairs.const_get(name) })
    KinoRails::Repairs.apply([KinoRails::Repairs::ClassVariables])
    Ractor.make_shareable(Rails::DEPRECATOR)
  RUBY

  def remembered(use, repairs = "Translations RememberedValues")
    with_gem("activesupport") do
      child_values("ARGV.replace(%w[#{repairs}])\n#{REMEMBERED}\np Ractor.new { begin; #{use}; rescue StandardError => e; e.class.name; end }.value")
    end
  end

  def test_time_zones
    use = 'ActiveSupport::TimeZone["Berlin"].local(2026, 7, 1).iso8601'
    assert_equal ["Ractor::IsolationError", "2026-07-01T00:00:00+02:00"], [remembered(use, "Translations"), remembered(use)]
  end

  def test_inflections_of_every_language
    use = '["goose".pluralize(:de), "box".pluralize]'
    assert_equal ["Ractor::IsolationError", %w[goose boxes]], [remembered(use, "Translations"), remembered(use)]
  end

  def test_deprecations_can_be_reported
    use = 'Rails::DEPRECATOR.warn("old"); Rails::DEPRECATOR.silence { 3 }'
    assert_equal ["Ractor::IsolationError", 3], [remembered(use, "Translations"), remembered(use)]
  end
end
