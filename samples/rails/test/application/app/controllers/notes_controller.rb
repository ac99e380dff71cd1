# frozen_string_literal: true

class NotesController < ApplicationController
  README = File.expand_path("../../../../README.md", __dir__)
  class_eval(File.read(README)[%r{^# app/controllers/notes_controller\.rb\n(.*?)^```}m, 1])
end
