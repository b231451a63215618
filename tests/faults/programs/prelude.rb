# frozen_string_literal: true

# For the programs of test_processes.py: an app behind the middleware, and requests to it.
require 'dynoscale_ruby/middleware'
require 'fiddle'
require 'json'

APP = DynoscaleRuby::Middleware.new(->(_env) { [200, {}, ['ok']] })

# So many requests, each of which has waited for some ms.
def record(count = 1)
  count.times do
    start = (Process.clock_gettime(Process::CLOCK_REALTIME) * 1000).to_i - 20
    answer = APP.call({ 'HTTP_X_REQUEST_START' => start.to_s })
    raise "wrong answer: #{answer}" unless answer == [200, {}, ['ok']]
  end
end

def flush
  DynoscaleRuby.flush(timeout: 60.0)
end

def stats
  DynoscaleRuby.stats
end

# Tells the test, and waits until it says to go on.
def say(text = 'ready')
  puts text
  $stdout.flush
  $stdin.gets
end

# In a child: its own samples are sent, no handler is run.
def leave
  exit!(flush ? 0 : 1)
end

def end_well(pid)
  _, status = Process.wait2(pid)
  raise "child: #{status}" unless status.success?
end

def exit_of_c
  Fiddle::Function.new(Fiddle.dlopen(nil)['exit'], [Fiddle::TYPE_INT], Fiddle::TYPE_VOID).call(0)
end
