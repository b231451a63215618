# frozen_string_literal: true

# job.rb ROUNDS URL: µs of CPU and of wall time of a forked process that ends at once, of one that
# posts once by libcurl, and of one that records a reading and sends it before it ends, as Resque's
# processes do for each job; in turns.

require 'dynoscale_ruby/middleware'
require 'reference'

FORKS = 20

def cpu_of_children
  times = Process.times
  (times.cutime + times.cstime) * 1e6
end

def child
  cpu = cpu_of_children
  started = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
  pid = fork do
    yield
    exit!
  end
  Process.wait(pid)
  wall = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond) - started
  [cpu_of_children - cpu, wall / 1e3]
end

def record
  DynoscaleRuby.job_queue_time('bench', 'default', 5) or raise
  DynoscaleRuby.flush(timeout: 10) or raise
end

url = ARGV.fetch(1)
acts = { 'ends' => -> {}, 'posts' => -> { Reference.post_once(url) }, 'records' => -> { record } }
record # the parent's own agent is open
(-1...Integer(ARGV.fetch(0))).each do |round|
  acts.each do |name, act|
    seen = Array.new(FORKS) { child(&act) }
    next if round.negative?

    puts "#{name}\t#{seen.map(&:first).sort[FORKS / 2]}"
    puts "#{name}, wall\t#{seen.map(&:last).sort[FORKS / 2]}"
  end
end
$stdout.flush
DynoscaleRuby.stop(timeout: 0)
