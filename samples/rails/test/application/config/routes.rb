# frozen_string_literal: true

Rails.application.routes.draw do
  get "/up", to: "rails/health#show"
  root to: "things#index"
  resources :things, only: %i[new create]
  %i[localized json formats count data file basic crash refused urls log cached zone main stream gone missing sanitized notes_error].each do |action|
    get "/#{action}", to: "things##{action}"
  end
  get "/notes", to: "things#notes"
  get "/notes/:id", to: "notes#show"
  post "/json", to: "things#json"
  post "/upload", to: "things#upload"
  get "/old", to: redirect("/things/new")
end
