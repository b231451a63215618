# frozen_string_literal: true

# first.rb LIBRARY [forked]: ms of `require`; of our own also µs of making the middleware, and of its
# first and second request, or those of a process that was forked in between, as from a server that
# preloads; else µs of a request to the app alone, the first in such a process, and then of starting
# a thread, its first. All are CPU time of the thread that calls.

def milliseconds
  Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :float_millisecond)
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
  $stdout.flush
  exit!(Process.wait2.last.exitstatus) if ARGV.include?('forked') && fork
  started = milliseconds
  app.call(env)
  puts "alone\t#{(milliseconds - started) * 1e3}"
  puts "thread\t#{Reference.thread_us}"
  exit
end

started = milliseconds
middleware = DynoscaleRuby::Middleware.new(app)
puts "new\t#{(milliseconds - started) * 1e3}"

$stdout.flush
exit!(Process.wait2.last.exitstatus) if ARGV.include?('forked') && fork
%w[first second].each do |number|
  started = milliseconds
  middleware.call(env)
  puts "#{number}\t#{(milliseconds - started) * 1e3}"
end
DynoscaleRuby.stop(timeout: 0)
