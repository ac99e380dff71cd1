# frozen_string_literal: true

require "fileutils"

module Kino
  # Copies kino's headers and their dependencies into a gem, which then compiles without any other gem:
  #
  #   ruby -r ./path/to/kino/vendor -e 'Kino::Vendor.copy("vendor/kino")'
  #
  # The copy contains kino/mkmf and this file beside the headers, and the licence of each part.
  module Vendor
    # Possible locations of concurrentqueue.h below an include directory, the same as in kino.
    QUEUE_HEADERS = %w[concurrentqueue/moodycamel/concurrentqueue.h concurrentqueue/concurrentqueue.h
                       moodycamel/concurrentqueue.h concurrentqueue.h].freeze
    SYSTEM_INCLUDES = %w[/usr/include /usr/local/include /opt/homebrew/include].freeze
    RUBY_FILES = %w[mkmf.rb vendor.rb].freeze

    # This file is lib/kino/vendor.rb of a gem or of a copy, or samples/server/lib/kino/vendor.rb of a checkout.
    ROOT = [File.expand_path("../..", __dir__), File.expand_path("../../../..", __dir__)]
           .find { |root| File.file?(File.join(root, "include/kino/version.hpp")) }

    # Replaces +target+ with a copy of the kino that this file belongs to; returns its version. Raises a
    # RuntimeError that names what is missing before it changes anything.
    def self.copy(target)
      raise "#{__FILE__} has no kino headers (include/kino/version.hpp) near it; use the copy in a checkout or a gem" unless ROOT

      queue = queue_header
      licences = { "kino.txt" => kino_licence, "concurrentqueue.txt" => queue_licence(queue) }
      replace(target) do |fresh|
        install(Dir[File.join(ROOT, "include/kino/**/*.hpp")], fresh, from: ROOT)
        install([queue], File.join(fresh, "include/concurrentqueue/moodycamel"))
        install(RUBY_FILES.map { |name| File.join(__dir__, name) }, File.join(fresh, "lib/kino"))
        FileUtils.mkdir_p(File.join(fresh, "licenses"))
        licences.each { |name, path| FileUtils.cp(path, File.join(fresh, "licenses", name)) }
      end
      version
    end

    # Replaces +target+ with a copy of the kino in +source+: a checkout, an installed gem, or another copy.
    def self.update(target, source)
      script = %w[lib/kino/vendor.rb samples/server/lib/kino/vendor.rb]
               .map { |path| File.expand_path(path, source) }.find { |path| File.file?(path) }
      raise "#{source} is not a kino directory: lib/kino/vendor.rb is missing; pass a checkout or an installed gem" unless script

      other = Module.new
      other.module_eval(File.read(script), script)
      other::Kino::Vendor.copy(target)
    end

    def self.version
      File.read(File.join(ROOT, "include/kino/version.hpp")).scan(/_(?:MAJOR|MINOR|PATCH) (\d+)$/).join(".")
    end

    def self.queue_header
      directories = [ENV["CONCURRENTQUEUE_INCLUDE_DIR"], File.join(ROOT, "include"), *SYSTEM_INCLUDES].compact
      directories.product(QUEUE_HEADERS).map { |parts| File.join(*parts) }.find { |path| File.file?(path) } ||
        raise("there is no concurrentqueue.h in #{directories.join(", ")}; install it (Debian: libconcurrentqueue-dev), " \
              "or name its directory in CONCURRENTQUEUE_INCLUDE_DIR")
    end

    def self.kino_licence
      licence("kino", [File.join(ROOT, "LICENSE"), File.join(ROOT, "licenses/kino.txt")])
    end

    def self.queue_licence(header)
      above = [1, 2, 3].map { |steps| File.expand_path("../" * steps, header) }
      licence("concurrentqueue.h", [File.join(ROOT, "licenses/concurrentqueue.txt"),
                                    *above.map { |directory| File.join(directory, "LICENSE.md") },
                                    "/usr/share/doc/libconcurrentqueue-dev/copyright"])
    end

    def self.licence(name, places)
      places.find { |path| File.file?(path) } ||
        raise("the licence of #{name} is in none of #{places.join(", ")}; a copy must not be without it")
    end

    def self.install(files, directory, from: nil)
      files.each do |path|
        target = File.join(directory, from ? path.delete_prefix("#{from}/") : File.basename(path))
        FileUtils.mkdir_p(File.dirname(target))
        FileUtils.cp(path, target)
      end
    end

    # Removes the old copy once the new one is complete; a copy may replace the one that it was made from.
    def self.replace(target)
      fresh = "#{target}.new"
      FileUtils.rm_rf(fresh)
      yield fresh
      FileUtils.rm_rf(target)
      FileUtils.mv(fresh, target)
    ensure
      FileUtils.rm_rf(fresh)
    end

    private_class_method :version, :queue_header, :kino_licence, :queue_licence, :licence, :install, :replace
  end
end
