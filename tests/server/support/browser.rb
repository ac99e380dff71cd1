# frozen_string_literal: true

require_relative "programs"

# For tests with a browser, which has no window (Debian: chromium). They are skipped without one.
module Browser
  COMMAND = Programs.find("chromium", "chromium-browser", "google-chrome")

  def need_browser
    skip "there is no browser (Debian: chromium)" unless COMMAND
  end

  # Opens a page, which stays open until the end of the test.
  def browse(url, *options)
    environment, *command = browser(*options)
    @browser = Process.spawn(environment, *command, url, pgroup: true, in: File::NULL, %i[out err] => File::NULL)
  end

  # The environment and the command of a browser with its own profile.
  def browser(*options)
    home = File.join(directory, "browser")
    [{ "HOME" => home }, COMMAND, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
     "--disable-background-networking", "--user-data-dir=#{home}", *options]
  end

  def teardown
    if @browser
      Process.kill(:KILL, -@browser) # and its processes
      Process.wait(@browser)
    end
    super
  end
end
