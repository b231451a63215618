# frozen_string_literal: true

# ips.rb NAME SECONDS: benchmark-ips on the trivial app alone and behind the middleware of NAME
# (dynoscale, or a peer), each configured to report. Prints ns of a call.

require 'benchmark/ips'
require 'rack_env'

# Each returns a middleware around the app. Their reporters find the address of a service on loopback
# in the environment.
MIDDLEWARES = {
  'dynoscale' => lambda { |app|
    require 'dynoscale_ruby/middleware'
    DynoscaleRuby::Middleware.new(app)
  },
  'dynoscale_ruby 1.x' => lambda { |app|
    require 'dynoscale_ruby'
    require 'dynoscale_ruby/middleware'
    DynoscaleRuby::Middleware.new(app)
  },
  'judoscale-rack' => lambda { |app|
    require 'judoscale-rack'
    Judoscale::Config.instance.logger.level = Logger::WARN
    Judoscale::RequestMiddleware.new(app)
  },
  'hirefire-resource' => lambda { |app|
    require 'hirefire-resource'
    HireFire.configure { |config| config.dyno(:web) }
    HireFire.configuration.logger.level = Logger::FATAL
    HireFire::Middleware.new(app)
  }
}.freeze

name, seconds = ARGV
app = RackEnv::App.new
middleware = MIDDLEWARES.fetch(name).call(app)
env = RackEnv.fresh

# These are so many calls that the agent's buffer is full nearly all the time, which makes a call take
# some ns more.
def repeat(times, app, env)
  i = 0
  while i < times
    env[RackEnv::STAMP] = RackEnv::STAMPS[i % 1024]
    app.call(env)
    i += 1
  end
end

report = Benchmark.ips(quiet: true) do |bench|
  bench.config(time: Float(seconds), warmup: Float(seconds) / 4)
  bench.report('bare') { |times| repeat(times, app, env) }
  bench.report('middleware') { |times| repeat(times, middleware, env) }
end
report.entries.each { |entry| puts "#{entry.label}\t#{1e9 / entry.stats.central_tendency}" }
$stdout.flush
exit!(0) # the peers' threads are not waited for
