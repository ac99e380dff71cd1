# frozen_string_literal: true

class ThingsController < ApplicationController
  skip_forgery_protection only: %i[create json upload]

  def index = @things = [Thing.new(name: "a<"), Thing.new(name: "b", price: 1_234_567.891)]
  def new = @thing = Thing.new

  def create
    @thing = Thing.new(params.require(:thing).permit(:name, :price))
    return redirect_to("/count", notice: "made") if @thing.valid?

    render :new, status: 422
  end

  def localized
    render plain: [t("hello", name: "x"), t("missing.key", default: "none"), I18n.t("note", count: 2, locale: :en),
                   I18n.l(Date.new(2026, 1, 2), format: :long, locale: :en), helpers.number_to_currency(3, locale: :en)].join("|")
  end

  def json = render(json: { params: params.to_unsafe_h, before: @before, number: "1.5".to_d })
  def formats = respond_to { |format| format.html { render plain: "html" }; format.json { render json: [1] } }
  def upload = render(plain: "#{params[:file].original_filename} #{params[:file].read.bytesize}")

  def count
    session[:count] = session[:count].to_i + 1
    cookies.signed[:signed] = "s"
    cookies.encrypted[:encrypted] = { value: "e", expires: 1.hour }
    render plain: [session[:count], cookies.signed[:signed], cookies.encrypted[:encrypted], flash[:notice]].join(" ")
  end

  def data = send_data("abc", filename: "ä.txt", type: "text/plain")
  def file = send_file(Rails.root.join("config.ru"))
  def basic = (authenticate_or_request_with_http_basic { |name, password| [name, password] == %w[a b] }) && render(plain: "in")
  def crash = raise("crash")
  def refused = raise(ArgumentError, "refused")
  def urls = render(plain: [things_url(host: "www.example.com"), root_path, request.subdomain, request.remote_ip, request.format].join(" "))
  def log = (logger.tagged("T") { logger.info { "tagged" } } if logger.respond_to?(:tagged)) || head(:ok)
  def cached = (render(plain: Rails.cache.fetch("x") { "computed" }) if stale?(etag: "e", last_modified: Time.utc(2026)))
  def zone = render(plain: Time.use_zone("Tokyo") { Time.zone.local(2026, 1, 2).iso8601 } + Time.zone.local(2026, 7, 1).iso8601)
  def stream = self.response_body = Enumerator.new { |out| 3.times { |n| out << n.to_s } }
  def gone = raise(ActionController::RoutingError, "gone")
  def missing = params.require(:missing)
  def sanitized = render(plain: helpers.sanitize("<b>x</b><script>y</script>") + helpers.strip_tags("<i>z</i>") + helpers.simple_format("a\n\nb"))

  def main
    number = params[:number].to_i
    render plain: Kino.main { number + 1 }.to_s
  end

  def notes
    name = params[:name].dup.freeze
    render plain: (Kino.main { Note.where(name: name).delete_all; Note.create!(name: name); Note.named(name).count }.to_s)
  end

  def notes_error = render(json: Kino.main { Note.find(-1) })
end
