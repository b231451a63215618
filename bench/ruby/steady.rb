# frozen_string_literal: true

# steady.rb RATE: RATE requests a second, for ever, or none; prints "ready" once it has begun. With
# POST_ONCE=URL it uses libcurl once before, as a process without the agent might.

require 'dynoscale_ruby/middleware' unless ENV['WITHOUT_AGENT']
require 'reference'
require 'rack_env'

BURST_S = 0.02

rate = Float(ARGV.fetch(0))
stack = RackEnv::App.new
stack = DynoscaleRuby::Middleware.new(stack) unless ENV['WITHOUT_AGENT']
abort 'the post failed' if ENV['POST_ONCE'] && !Reference.post_once(ENV['POST_ONCE'])
stack.call(RackEnv.fresh)
$stdout.puts 'ready'
$stdout.flush
sleep if rate.zero?

due = Process.clock_gettime(Process::CLOCK_MONOTONIC)
loop do
  env = RackEnv.fresh
  (rate * BURST_S).round.times { stack.call(env) }
  due += BURST_S
  left = due - Process.clock_gettime(Process::CLOCK_MONOTONIC)
  sleep(left) if left.positive?
end
