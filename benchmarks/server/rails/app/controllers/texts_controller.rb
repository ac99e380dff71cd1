# frozen_string_literal: true

class TextsController < ActionController::API
  def show
    render plain: "Hello, World!"
  end

  def document
    render json: { message: "Hello, World!", numbers: [1, 2, 3], nested: { ok: true } }
  end
end
