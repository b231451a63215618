# frozen_string_literal: true

# first.rb LIBRARY [forked]: ms of `require`; of our own also µs of making the middleware, and of its
# first and second request, or those of CHILDREN processes that were forked in between, one after
# another, as from a server that preloads; else µs of a request to the app alone, the first in such a
# process, and then of starting a thread, its first. All are CPU time of the thread that calls.

CHILDREN = 15

def milliseconds
  Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :float_millisecond)
end

# Returns in each child, and not in this process.
def go_on_in_children
  $stdout.flush
  CHILDREN.times do
    return unless fork

    exit!(1) unless Process.wait2.last.success?
  end
  exit!(0)
end

require 'rack_env'
env = RackEnv.fresh
app = RackEnv::App.new
app.call(env)

started = milliseconds
require ARGV.fetch(0)
puts "require\t#{milliseconds - started}"
unless defined?(DynoscaleRuby::Middleware)
  require 'reference'
  go_on_in_children if ARGV.include?('forked')
  started = milliseconds
  app.call(env)
  puts "alone\t#{(milliseconds - started) * 1e3}"
  puts "thread\t#{Reference.thread_us}"
  exit
end

started = milliseconds
middleware = DynoscaleRuby::Middleware.new(app)
puts "new\t#{(milliseconds - started) * 1e3}"

go_on_in_children if ARGV.include?('forked')
%w[first second].each do |number|
  started = milliseconds
  middleware.call(env)
  puts "#{number}\t#{(milliseconds - started) * 1e3}"
end
DynoscaleRuby.stop(timeout: 0)
