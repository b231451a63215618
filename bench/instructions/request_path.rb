# frozen_string_literal: true

# Passes requests through the gem, for callgrind to count; see count.py.

require 'dynoscale_ruby/middleware'
require 'reference'
require 'rack_env'

def count(name, app, env)
  app.call(env)
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
count('DynoscaleRuby::Middleware', DynoscaleRuby::Middleware.new(app), env)
DynoscaleRuby.stop(timeout: 0)
