# frozen_string_literal: true

# asked.rb ENTRY_POINT ROUNDS ASKING_URL QUIET_URL: ns of a request while the service asks for the signals of
# requests, and while it does not, in turns, each the median of its blocks; and ns of a
# reading of the clock. All are CPU time of the thread.

require 'dynoscale_ruby/middleware'
require 'reference'
require 'rack_env'

BLOCK = 600
BLOCKS = 25 # no more than the buffer holds

def nanoseconds
  Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :nanosecond)
end

def take(middleware, env)
  started = nanoseconds
  i = 0
  while i < BLOCK
    env[RackEnv::STAMP] = RackEnv::STAMPS[i % 1024]
    middleware.call(env)
    i += 1
  end
  nanoseconds - started
end

_entry_point, rounds, asking, quiet = ARGV
middleware = DynoscaleRuby::Middleware.new(RackEnv::App.new)
(-1...Integer(rounds)).each do |round| # the first one warms up
  { 'asked' => asking, 'not asked' => quiet }.each do |name, url|
    DynoscaleRuby.configure { |c| c.url = url }
    env = RackEnv.fresh
    middleware.call(env)
    abort 'the service did not answer' unless DynoscaleRuby.flush(timeout: 60)
    abort "the service was to be one that is #{name}" if DynoscaleRuby::Agent.asked[0].any? != (name == 'asked')

    taken = Array.new(BLOCKS) { take(middleware, env) }.sort[BLOCKS / 2]
    puts "#{name}\t#{taken.to_f / BLOCK}" unless round.negative?
  end
  puts "clock\t#{Reference.clock_ns(BLOCK)}" unless round.negative?
end
$stdout.flush
DynoscaleRuby.stop(timeout: 0)
