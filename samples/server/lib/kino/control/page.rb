# frozen_string_literal: true

require "digest"

module Kino
  # The page of the control plane, and the policy that lets a browser run only what is in it.
  module ControlPage
    TEXT = File.read(File.join(__dir__, "page.html"), encoding: Encoding::UTF_8).freeze

    def self.hashes(element)
      TEXT.scan(%r{<#{element}>(.*?)</#{element}>}m).flatten.map { |code| "'sha256-#{[Digest::SHA256.digest(code)].pack("m0")}'" }.join(" ")
    end
    private_class_method :hashes

    # A Content-Security-Policy.
    POLICY = "default-src 'none'; script-src #{hashes("script")}; style-src #{hashes("style")}; connect-src 'self'; img-src data:; " \
             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
  end
end
