# frozen_string_literal: true

# Passes requests through the gem, for callgrind to count; see count.py.

require 'dynoscale_ruby/middleware'
require 'reference'
require 'rack_env'

def count(name, app, env)
  app.call(env)
  DynoscaleRuby.flush(timeout: 0) # empties the buffer: a push looks longer for a slot in a full one
  Reference.begin
  i = 0
  while i < 1000
    env[RackEnv::STAMP] = RackEnv::STAMPS[i]
    app.call(env)
    i += 1
  end
  Reference.end(name)
end

app = RackEnv::App.new
env = RackEnv.fresh
GC.disable
count('bare', app, env)
count('C middleware that passes on', Reference::Passthrough.new(app), env)
middleware = DynoscaleRuby::Middleware.new(app)
count('DynoscaleRuby::Middleware', middleware, env)
DynoscaleRuby.configure { |config| config.url = ENV.fetch('BENCH_ASKING_URL') }
middleware.call(env)
DynoscaleRuby.flush(timeout: 60)
abort 'the service did not ask for signals' if DynoscaleRuby::Agent.asked.first.empty?
count('DynoscaleRuby::Middleware, asked', middleware, env)
DynoscaleRuby.stop(timeout: 0)
