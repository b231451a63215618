# frozen_string_literal: true

require 'dynoscale_ruby/middleware'

# Sleeps for as many ms as the query says, and answers with the ms that passed.
use DynoscaleRuby::Middleware
run(lambda do |env|
  start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  sleep(env['QUERY_STRING'].to_f / 1000)
  passed = (Process.clock_gettime(Process::CLOCK_MONOTONIC) - start) * 1000
  [200, { 'content-type' => 'text/plain' }, [passed.to_s]]
end)
