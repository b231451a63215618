# frozen_string_literal: true

# calls.rb ROUNDS: ns of a call of a trivial app, by itself and behind a middleware; with one
# env again and again, and ("own env") with one made just before for each call, as in a server.
#
# Rounds are interleaved, and each is the median of its blocks. A block has as many calls as the
# agent's buffer holds; between two blocks it is emptied, which the agent's thread does in life, and
# which is not counted. Times are CPU time of the thread, so other load of the machine hardly
# changes them.

require 'dynoscale_ruby/middleware'
require 'reference'
require 'rack_env'

BLOCK = 8000
BLOCKS = 25
ENVS = 20 # fit the fastest cache

# A middleware in Ruby that calls one C function and then the app.
class InRuby
  def initialize(app)
    @app = app
  end

  def call(env)
    Reference.nothing(env)
    @app.call(env)
  end
end

app = RackEnv::App.new
STACKS = {
  'bare' => app,
  'passthrough' => Reference::Passthrough.new(app),
  'in_ruby' => InRuby.new(app),
  'middleware' => DynoscaleRuby::Middleware.new(app)
}.freeze

def nanoseconds
  Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :nanosecond)
end

# Methods for each, so that each call site knows one class only, as in a server.
STACKS.each_key do |name|
  Object.class_eval <<~RUBY, __FILE__, __LINE__ + 1
    def call_#{name}(app, env)
      started = nanoseconds
      i = 0
      while i < BLOCK
        env[RackEnv::STAMP] = RackEnv::STAMPS[i % 1024]
        app.call(env)
        i += 1
      end
      nanoseconds - started
    end

    def call_#{name}_with_own_env(app, env)
      total = 0
      (BLOCK / ENVS).times do
        envs = Array.new(ENVS) { env.merge(RackEnv::STAMP => env[RackEnv::STAMP].dup) }
        started = nanoseconds
        i = 0
        while i < ENVS
          app.call(envs[i])
          i += 1
        end
        total += nanoseconds - started
      end
      total
    end
  RUBY
end

(-1...Integer(ARGV.fetch(0))).each do |round|
  blocks = Hash.new { |hash, name| hash[name] = [] }
  env = RackEnv.fresh
  GC.start
  BLOCKS.times do
    call_bare(app, env) # so that the first does not fetch the stamps into the cache for all
    STACKS.each { |name, stack| blocks[name] << send("call_#{name}", stack, env) }
    DynoscaleRuby.flush(timeout: 0)
    STACKS.each do |name, stack|
      blocks["#{name}, own env"] << send("call_#{name}_with_own_env", stack, env)
    end
    DynoscaleRuby.flush(timeout: 0)
    blocks['floor'] << (Reference.floor_ns(BLOCK) * BLOCK)
  end
  next if round.negative? # warms up

  blocks.each { |name, taken| puts "#{name}\t#{taken.sort[BLOCKS / 2].to_f / BLOCK}" }
end
$stdout.flush
DynoscaleRuby.stop(timeout: 0)
