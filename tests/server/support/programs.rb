# frozen_string_literal: true

# Programs that a test uses if they are installed.
module Programs
  # The path of the first of these that is installed, or nil. Daemons may be where the PATH of users does not lead.
  def self.find(*names)
    directories = [*ENV.fetch("PATH").split(File::PATH_SEPARATOR), "/usr/sbin"]
    names.product(directories).map { |name, directory| File.join(directory, name) }.find { |path| File.executable?(path) }
  end
end
