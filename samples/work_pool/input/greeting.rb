# frozen_string_literal: true

class Greeting
  def initialize(name) = @name = name

  def to_s
    return "Hello!" if @name.nil? || @name.empty?

    "Hello, #{@name}!"
  end
end
