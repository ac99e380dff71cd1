# frozen_string_literal: true

# What /proc says of other processes. One that has ended has no title, no parent and no children.
module ProcessTable
  # By their age, unless the numbers of processes have begun again. All that are there at one moment: one may end, and another
  # one come, while /proc is read, so it is read until two readings agree.
  def children_of(pid)
    children, former = read_children_of(pid), nil
    former, children = children, read_children_of(pid) until children == former
    children
  end

  def parent_of(pid)
    state_of(pid)&.[](1).to_i
  end

  def title_of(pid)
    File.read("/proc/#{pid}/cmdline").delete("\0")
  rescue SystemCallError
    ""
  end

  # A process that has ended and that its parent has not waited for does not run.
  def running?(pid)
    state = state_of(pid)
    !state.nil? && state.first != "Z"
  end

  # Whether a signal has stopped all threads of a process.
  def stopped?(pid)
    threads = Dir.children("/proc/#{pid}/task")
    threads.all? { |thread| state_of("#{pid}/task/#{thread}")&.first == "T" }
  end

  # Ends what a failed test has left.
  def kill(pids)
    pids.each do |pid|
      Process.kill("KILL", pid)
    rescue Errno::ESRCH
      nil
    end
  end

  private

  # The list in /proc/PID/task/PID/children lacks others while one of them ends.
  def read_children_of(pid)
    Dir.children("/proc").grep(/\A\d+\z/).map(&:to_i).sort.select { |one| parent_of(one) == pid }
  end

  # The state, the parent and further numbers, after the name, which may contain anything. Nil: there is no such process or thread.
  def state_of(place)
    File.read("/proc/#{place}/stat").rpartition(") ").last.split
  rescue SystemCallError
    nil
  end
end
