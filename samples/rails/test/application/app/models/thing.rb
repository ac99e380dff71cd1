# frozen_string_literal: true

class Thing
  include ActiveModel::Model
  include ActiveModel::Attributes

  attribute :name, :string
  attribute :price, :decimal, default: 2
  validates :name, presence: true, length: { maximum: 10 }
end
