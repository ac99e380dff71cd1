# frozen_string_literal: true

# A page with a layout, a partial for each of ten items, and helpers.
class PagesController < ActionController::Base
  Item = Struct.new(:number, :name, :price)
  ITEMS = Ractor.make_shareable(Array.new(10) { |n| Item.new(n + 1, "Item <#{n + 1}>", 1234.5 * n) })

  layout "page"

  def show
    @items = ITEMS
  end
end
