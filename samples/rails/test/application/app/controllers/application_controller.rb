# frozen_string_literal: true

class ApplicationController < ActionController::Base
  protect_from_forgery with: :exception
  before_action :choose_locale, only: %i[index localized]
  before_action -> { @before = "lambda" }, except: %i[localized crash]
  around_action(only: :json) { |_controller, action| action.call }
  rescue_from(ArgumentError) { |error| render plain: "rescued #{error.message}", status: 422 }
  helper_method :loud

  private

  def choose_locale = I18n.locale = params[:locale] || I18n.default_locale
  def loud(text) = text.upcase
end
